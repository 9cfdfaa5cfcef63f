import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct BrowserTests {
    @Test("a browser sees its own connection move: in the built-in page, and live in the admin page")
    func movesInView() throws {
        let server = try Server(["--admin", "127.0.0.1:0", "--move-every", "1"], workers: 3)
        let admin = try server.number(behind: "admin=127.0.0.1:")
        let hostile = try PeerProcess(
            ["openssl", "s_client", "-connect", "127.0.0.1:\(server.port)", "-quiet", "-nocommands"]
                + ["-servername", Self.hostileName])
        try hostile.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        try hostile.expect("Baton-Moves: 0")
        let files = try TemporaryFiles()
        let screenshot = ProcessInfo.processInfo.environment["BATON_SCREENSHOT"] ?? files.path("page.png")
        let browser = try Browser.start(
            Self.script, profile: files.path("profile"),
            ["http://127.0.0.1:\(admin)/", "https://127.0.0.1:\(server.port)/", Self.hostileName, screenshot])
        try browser.expect(nil)
        #expect(browser.text.contains("ALL SEEN"), "\(browser.text)")
    }

    /// A name that a careless page would run.
    private static let hostileName = "<img/src=x/onerror=document.title='hit'>"

    /// Arguments are the admin page, the built-in page, the hostile name, and where to put a picture of the admin page.
    private static let script = """
        admin, hello, hostile, picture = sys.argv[2:]
        def test():
            view = page(admin)
            call('Log.enable', view)
            call('Runtime.enable', view)
            wait(view, "document.querySelectorAll('#workers tr').length === 3")
            site = page(hello)
            number = "Number(document.getElementById('%s').textContent)"
            text = "document.getElementById('moves').textContent"
            wait(site, text + " !== ''")
            seen = [(value(site, number % 'moves'), value(site, number % 'process'))]
            # A browser may have two connections open; either counts its own moves.
            most = lambda: max(moves for moves, _ in seen)
            def reload_until(is_enough):
                while not is_enough():
                    value(site, 'window.isOld = true')
                    call('Page.reload', site)
                    wait(site, 'window.isOld === undefined && ' + text + " !== ''")
                    seen.append((value(site, number % 'moves'), value(site, number % 'process')))
                    if len(seen) > 40: raise RuntimeError('it never moved: ' + str(seen))
            reload_until(lambda: most() >= 4 and len(set(process for _, process in seen)) >= 2)
            print('SEEN', seen, flush=True)
            rows = "[...document.querySelectorAll('#rows tr')].map(row => [...row.cells].map(cell => cell.textContent))"
            moved = rows + '.some(cells => Number(cells[6]) >= %d && cells[8] === "1.3")'
            wait(view, moved % most())
            print('ROWS', value(view, rows), flush=True)
            before = most()
            reload_until(lambda: most() > before)
            wait(view, moved % most())
            wait(view, "document.querySelectorAll('#charts svg .dot').length >= 4")
            shown = rows + '.some(cells => cells[1] === %s)' % json.dumps(hostile)
            wait(view, shown)
            if value(view, "document.querySelectorAll('img').length") != 0: raise RuntimeError('a name became markup')
            if value(view, 'document.title') != 'Baton': raise RuntimeError('a name was run')
            picture_of(view, picture)
            picture_of(view, picture.replace('.png', '-dark.png'), 'dark')
        run(test)
        """
}
