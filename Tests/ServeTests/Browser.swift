import StockPeers

/// Chromium, driven by its DevTools protocol.
enum Browser {
    /// Runs a test in Python.
    ///
    /// - Parameters:
    ///   - test: defines `test`, and gives it to `run`, which says `ALL SEEN` if it comes to its end and no page has broken its
    ///     policy or thrown.
    ///   - profile: a folder for the browser.
    ///   - arguments: the test's, from `sys.argv[2]` on.
    static func start(_ test: String, profile: String, _ arguments: [String]) throws -> PeerProcess {
        try PeerProcess(["python3", "-c", driver + test, profile] + arguments)
    }

    private static let driver = """
        import base64, fcntl, json, os, select, subprocess, sys
        profile = sys.argv[1]
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
                    # One that is behind another asks for nothing.
                    call('Page.bringToFront', session)
                    if value(session, '''new Promise(done => {
                        const end = Date.now() + 10000;
                        const look = () => { let is = false; try { is = (%s); } catch {}
                            if (is) done(true); else if (Date.now() > end) done(false); else setTimeout(look, 50); };
                        look(); })''' % condition): return
                except RuntimeError: continue
                if attempt >= 3: break
            raise RuntimeError('never: ' + condition + ' in ' + str(value(session, 'document.body.innerText')))
        def picture_of(session, path, scheme='light'):
            call('Emulation.setEmulatedMedia', session, features=[{'name': 'prefers-color-scheme', 'value': scheme}])
            data = call('Page.captureScreenshot', session, format='png', captureBeyondViewport=True)['data']
            open(path, 'wb').write(base64.b64decode(data))
        def run(test):
            try:
                test()
                if violations: raise RuntimeError(str(violations))
                print('ALL SEEN', flush=True)
            finally:
                chromium.kill()
                chromium.wait()

        """
}
