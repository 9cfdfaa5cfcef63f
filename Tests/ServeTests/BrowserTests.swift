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
        try hostile.expect("Baton-Moves: 1")
        let files = try TemporaryFiles()
        let screenshot = ProcessInfo.processInfo.environment["BATON_SCREENSHOT"] ?? files.path("page.png")
        let browser = try PeerProcess(
            ["python3", "-c", Self.script, files.path("profile"), "http://127.0.0.1:\(admin)/"]
                + ["https://127.0.0.1:\(server.port)/", Self.hostileName, screenshot])
        try browser.expect(nil)
        #expect(browser.text.contains("ALL SEEN"), "\(browser.text)")
    }

    /// A name that a careless page would run.
    private static let hostileName = "<img/src=x/onerror=document.title='hit'>"

    /// Drives Chromium by its DevTools protocol: arguments are a folder for its profile, the admin page, the built-in page,
    /// the hostile name, and where to put a picture of the admin page.
    private static let script = """
        import base64, fcntl, json, os, select, subprocess, sys
        profile, admin, hello, hostile, picture = sys.argv[1:]
        # It takes orders at its descriptor 3, and answers at 4.
        (orders, tell), (hear, answers) = [
            [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in os.pipe()] for _ in range(2)]
        chromium = subprocess.Popen(
            ['chromium', '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
             '--ignore-certificate-errors', '--remote-debugging-pipe', '--user-data-dir=' + profile,
             '--window-size=1280,1400', 'about:blank'],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(3, 4),
            preexec_fn=lambda: (os.dup2(orders, 3), os.dup2(answers, 4)))
        os.close(orders)
        os.close(answers)
        # Messages end with a zero byte.
        pending = b''
        def receive():
            global pending
            while b'\\0' not in pending:
                if not select.select([hear], [], [], 60)[0]: sys.exit('chromium says nothing')
                part = os.read(hear, 1 << 16)
                if not part: sys.exit('chromium has ended')
                pending += part
            message, pending = pending.split(b'\\0', 1)
            return json.loads(message)
        print('STARTED', flush=True)
        last = 0
        violations = []
        def call(method, session=None, **parameters):
            global last
            last += 1
            message = {'id': last, 'method': method, 'params': parameters}
            if session: message['sessionId'] = session
            os.write(tell, json.dumps(message).encode() + b'\\0')
            while True:
                answer = receive()
                if answer.get('method') in ('Log.entryAdded', 'Runtime.exceptionThrown'):
                    violations.append(answer['params'])
                if answer.get('id') == last:
                    if 'error' in answer: raise RuntimeError(method + ': ' + str(answer['error']))
                    return answer['result']
        def page(url):
            target = call('Target.createTarget', url=url)['targetId']
            session = call('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
            call('Page.enable', session)
            return session
        def value(session, expression):
            result = call('Runtime.evaluate', session, expression=expression, awaitPromise=True, returnByValue=True)
            return result['result'].get('value')
        def wait(session, condition):
            # The page may be loading anew, and with it goes what waits in it.
            for attempt in range(60):
                print('waiting for', condition, flush=True)
                try:
                    if value(session, '''new Promise(done => {
                        const end = Date.now() + 10000;
                        const look = () => { let is = false; try { is = (%s); } catch {}
                            if (is) done(true); else if (Date.now() > end) done(false); else setTimeout(look, 50); };
                        look(); })''' % condition): return
                except RuntimeError: continue
                if attempt >= 3: break
            raise RuntimeError('never: ' + condition + ' in ' + str(value(session, 'document.body.innerText')))
        try:
            view = page(admin)
            call('Log.enable', view)
            call('Runtime.enable', view)
            wait(view, "document.querySelectorAll('#workers tr').length === 3")
            site = page(hello)
            number = "Number(document.getElementById('%s').textContent)"
            wait(site, (number % 'moves') + ' > 0')
            seen = [(value(site, number % 'moves'), value(site, number % 'process'))]
            # A browser may have two connections open; either counts its own moves.
            most = lambda: max(moves for moves, _ in seen)
            def reload_until(is_enough):
                while not is_enough():
                    value(site, 'window.isOld = true')
                    call('Page.reload', site)
                    wait(site, 'window.isOld === undefined && ' + (number % 'moves') + ' > 0')
                    seen.append((value(site, number % 'moves'), value(site, number % 'process')))
                    if len(seen) > 40: raise RuntimeError('it never moved: ' + str(seen))
            reload_until(lambda: most() >= 4 and len(set(process for _, process in seen)) >= 2)
            print('SEEN', seen, flush=True)
            rows = "[...document.querySelectorAll('#rows tr')].map(row => [...row.cells].map(cell => cell.textContent))"
            moved = rows + '.some(cells => Number(cells[6]) >= %d && cells[3] === "1.3")'
            wait(view, moved % most())
            print('ROWS', value(view, rows), flush=True)
            before = most()
            reload_until(lambda: most() > before)
            wait(view, moved % most())
            wait(view, "document.querySelectorAll('#plot circle').length >= 4")
            shown = rows + '.some(cells => cells[1] === %s)' % json.dumps(hostile)
            wait(view, shown)
            if value(view, "document.querySelectorAll('img').length") != 0: raise RuntimeError('a name became markup')
            if value(view, 'document.title') != 'Baton': raise RuntimeError('a name was run')
            if violations: raise RuntimeError(str(violations))
            for name, scheme in ((picture, 'light'), (picture.replace('.png', '-dark.png'), 'dark')):
                call('Emulation.setEmulatedMedia', view, features=[{'name': 'prefers-color-scheme', 'value': scheme}])
                data = call('Page.captureScreenshot', view, format='png')['data']
                open(name, 'wb').write(base64.b64decode(data))
            print('ALL SEEN', flush=True)
        finally:
            chromium.kill()
            chromium.wait()
        """
}
