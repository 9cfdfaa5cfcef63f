import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

/// The admin page as an operator has it before them, on a telephone and on a screen.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct AdminPageTests {
    @Test("the page shows rates, sorts, filters and turns pages, marks an upgrade under way, and fits 390 and 1,400 px")
    func used() throws {
        let files = try TemporaryFiles()
        let upstream = try Clients.upstream()
        let server = try Server(
            ["--admin", "127.0.0.1:0", "--upstream", "127.0.0.1:\(upstream.port)", "--move-every", "40"])
        let admin = try server.number(behind: "admin=127.0.0.1:")
        let crowd = try PeerProcess(["python3", "-c", Self.crowd, "\(server.port)", "32"])
        try crowd.expect("STARTED")
        let pictures = ProcessInfo.processInfo.environment["BATON_SCREENSHOTS"] ?? files.path("")
        let browser = try Browser.start(
            Self.script, profile: files.path("profile"), ["http://127.0.0.1:\(admin)/", pictures])
        try browser.expect("UPGRADE NOW")
        try server.upgrade()
        try browser.send("UPGRADED\n")
        try browser.expect(nil)
        #expect(browser.text.contains("ALL SEEN"), "\(browser.text)")
        try crowd.endInput()
        try crowd.expect("WHOLE 32 of 32")
    }

    /// Clients that ask for a name of their own each, and speak now and then; one comes and goes all the time.
    private static let crowd = """
        import asyncio, os, ssl, sys, threading
        port, count = int(sys.argv[1]), int(sys.argv[2])
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        stop = asyncio.Event()
        async def say(reader, writer, size):
            piece = os.urandom(size)
            writer.write(piece)
            return await reader.readexactly(size) == piece
        # Traffic at a rate, for the charts to show: it waits for nothing but the end.
        async def pace(seconds):
            try: await asyncio.wait_for(stop.wait(), seconds)
            except asyncio.TimeoutError: pass
        async def client(number):
            reader, writer = await asyncio.open_connection(
                '127.0.0.1', port, ssl=context, server_hostname='host-%d.example' % number)
            whole = await say(reader, writer, 100)
            started.append(number)
            if len(started) == count: print('STARTED', flush=True)
            while not stop.is_set():
                whole = await say(reader, writer, 200 * number) and whole
                await pace(.2)
            return whole
        async def passer():
            while not stop.is_set():
                _, writer = await asyncio.open_connection(
                    '127.0.0.1', port, ssl=context, server_hostname='passer.test')
                await pace(.3)
                writer.close()
        async def run():
            loop = asyncio.get_running_loop()
            threading.Thread(target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(stop.set))).start()
            passing = asyncio.create_task(passer())
            results = await asyncio.gather(*(client(n) for n in range(1, count + 1)))
            print('WHOLE', sum(results), 'of', count, flush=True)
        started = []
        asyncio.run(run())
        """

    /// Arguments are the page and a folder for its pictures.
    private static let script = """
        admin, pictures = sys.argv[2:]
        def size(session, width, height):
            call('Emulation.setDeviceMetricsOverride', session, width=width, height=height, deviceScaleFactor=1, mobile=width < 700)
        def must(session, what, expression):
            print('looking whether', what, flush=True)
            is_so = value(session, expression)
            if is_so is not True: raise RuntimeError('not so: %s: %s' % (what, is_so))
        column = "[...document.querySelectorAll('#rows tr')].map(row => row.cells[%d].textContent)"
        fits = "document.documentElement.scrollWidth <= innerWidth || [...document.querySelectorAll('body *')]" \\
            ".filter(n => n.getBoundingClientRect().right > innerWidth).map(n => n.outerHTML.slice(0, 80)).join()"
        touchable = "(small => small.length === 0 || small.join())([...document.querySelectorAll('button, input')]" \\
            ".filter(n => n.getBoundingClientRect().height < 44).map(n => n.outerHTML))"
        # Two colours of the style, and how much they must differ by WCAG 2.1, AA.
        contrast = '''(() => {
            const style = getComputedStyle(document.documentElement);
            const light = name => {
                const hex = style.getPropertyValue(name).trim().slice(1).replace(/^(.)(.)(.)$/, "$1$1$2$2$3$3");
                return [0, 2, 4].map(i => parseInt(hex.slice(i, i + 2), 16) / 255)
                    .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
                    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0); };
            const low = [];
            for (const ground of ["--ground", "--surface", "--moved"]) {
                for (const [name, least] of [["--ink", 4.5], ["--quiet", 4.5], ["--one", 4.5], ["--two", 4.5], ["--bad", 4.5],
                    ["--good", 3], ["--warn", 4.5], ["--field", 3]]) {
                    const [a, b] = [light(ground), light(name)].sort((a, b) => b - a);
                    const ratio = (a + .05) / (b + .05);
                    if (!(ratio >= least)) low.push(name + " on " + ground + ": " + ratio.toFixed(2));
                }
            }
            return low.length === 0 || low.join("; "); })()'''
        def type_in(session, text):
            value(session, "document.getElementById('filter').select()")
            if text: call('Input.insertText', session, text=text)
            else: value(session, "(f => { f.value = ''; f.dispatchEvent(new Event('input')); })(document.getElementById('filter'))")
        def sort(session, name):
            value(session, "[...document.querySelectorAll('#columns button')].find(b => b.textContent === '%s').click()" % name)
        sorted_by = "document.querySelector('#columns th[aria-sort=%s]')?.textContent === '%s'"
        def test():
            phone = page(admin)
            call('Log.enable', phone)
            call('Runtime.enable', phone)
            size(phone, 390, 844)
            wait(phone, "document.querySelectorAll('#rows tr').length === 25")
            wait(phone, "document.querySelectorAll('#charts svg .line').length >= 4 && charts.recent.samples.length >= 4")
            must(phone, 'nothing is wider than a telephone', fits)
            must(phone, 'a finger can touch it', touchable)
            must(phone, 'it is no table there', "getComputedStyle(document.querySelector('#rows tr')).display === 'grid'")
            # Pages, and back again.
            value(phone, "document.getElementById('next').click()")
            wait(phone, "document.getElementById('shown').textContent.includes('page 2')")
            wait(phone, "document.getElementById('next').disabled")
            value(phone, "document.getElementById('previous').click()")
            wait(phone, "document.getElementById('first').disabled")
            # Order: of all connections, not of a page.
            type_in(phone, 'HOST example')
            wait(phone, "document.getElementById('shown').textContent.startsWith('32 of')")
            sort(phone, 'server name')
            wait(phone, (sorted_by % ('ascending', 'server name')) + " && " + (column % 1) + "[24] === 'host-25.example'")
            if value(phone, column % 1) != ['host-%d.example' % n for n in range(1, 26)]:
                raise RuntimeError(str(value(phone, column % 1)))
            value(phone, "document.getElementById('next').click()")
            wait(phone, (column % 1) + ".join() === '%s'" % ','.join('host-%d.example' % n for n in range(26, 33)))
            sort(phone, 'server name')
            wait(phone, (sorted_by % ('descending', 'server name')) + " && " + (column % 1) + "[0] === 'host-32.example'")
            sort(phone, 'sent')
            wait(phone, (sorted_by % ('descending', 'sent')) + " && " + (column % 1) + "[0] === 'host-32.example'")
            type_in(phone, 'host-7.')
            wait(phone, (column % 1) + ".join() === 'host-7.example'")
            must(phone, 'the order and the filter are in the address', "location.hash === '#filter=host-7.&sort=sent&order=desc'")
            type_in(phone, 'nobody')
            wait(phone, "document.getElementById('shown').textContent.startsWith('0 of') && " + (column % 1) + ".length === 0")
            type_in(phone, '')
            sort(phone, 'age')
            wait(phone, (sorted_by % ('descending', 'age')) + " && " + (column % 1) + ".length === 25")
            # An upgrade while it is looked at: what was before it is shown still.
            before = value(phone, "charts.recent.samples.length")
            seen = value(phone, "charts.recent.samples[0].at")
            print('UPGRADE NOW', flush=True)
            sys.stdin.readline()
            wait(phone, "document.getElementById('upgrades').textContent === '1'")
            wait(phone, "[...document.querySelectorAll('#charts svg')].every(s => s.querySelector('.mark.upgraded'))")
            wait(phone, "document.querySelector('#marks .upgraded').textContent.startsWith('upgraded to')")
            wait(phone, "charts.recent.samples.length > %d && Math.abs(charts.recent.samples[0].at - %f) < 500" % (before, seen))
            wait(phone, (column % 1) + ".length === 25 && document.querySelector('#phase.good') !== null")
            must(phone, 'nothing is wider than a telephone', fits)
            # What has been, a page that is opened now has at once.
            screen = page(admin)
            call('Log.enable', screen)
            call('Runtime.enable', screen)
            size(screen, 1400, 900)
            wait(screen, "charts.recent.samples.length > %d && document.querySelectorAll('#rows tr').length >= 32" % before)
            must(screen, 'the upgrade is marked', "document.querySelectorAll('#charts svg .mark.upgraded').length >= 4")
            must(screen, 'it fits a screen', fits)
            must(screen, 'there are rates', "[...document.querySelectorAll('#charts b')].some(b => b.textContent !== '0')")
            must(screen, 'charts say what they show', "[...document.querySelectorAll('#charts svg')].every(s => s.getAttribute('aria-label'))")
            must(screen, 'inputs have labels', "[...document.querySelectorAll('input')].every(i => i.labels.length === 1)")
            # The keyboard moves the cursor of all charts.
            value(screen, "document.querySelector('#charts svg').focus()")
            for name in ('keyDown', 'keyUp'):
                call('Input.dispatchKeyEvent', screen, type=name, key='ArrowLeft', code='ArrowLeft', windowsVirtualKeyCode=37)
            wait(screen, "document.querySelectorAll('#charts svg .cursor').length === document.querySelectorAll('#charts svg').length")
            value(screen, "document.activeElement.blur()")
            wait(screen, "document.querySelectorAll('#charts svg .cursor').length === 0")
            for scheme in ('light', 'dark'):
                picture_of(phone, os.path.join(pictures, '390-%s.png' % scheme), scheme)
                must(phone, scheme + ' colours can be told apart', contrast)
                picture_of(screen, os.path.join(pictures, '1400-%s.png' % scheme), scheme)
        run(test)
        """
}
