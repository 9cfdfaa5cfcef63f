import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

/// The main process of a server, whose id stays through everything.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct KeeperTests {
    @Test("a front that is killed under load takes no proxied connection with it, and nobody is refused meanwhile")
    func frontKilled() throws {
        let upstream = try Clients.upstream()
        defer { withExtendedLifetime(upstream.process) {} }
        let server = try Server(["--upstream", "127.0.0.1:\(upstream.port)", "--limits.connections-per-source", "8"])
        let clients = try Clients.exchange(server.port, connections: 6)
        for _ in 0..<6 { try clients.expectNext("STARTED") }
        let before = try server.waitUntil { $0.connections == 6 }
        let visitor = try PeerProcess(["python3", "-c", Self.visitorText, "\(server.port)"])
        try visitor.expectNext("VISIT")
        for round in 1...3 {
            let front = try server.frontID()
            kill(front, SIGKILL)
            let after = try server.await { $0.front != front }
            #expect(after.pid == before.pid && after.workers.map(\.pid) == before.workers.map(\.pid))
            #expect(after.deaths == .init(front: round, workers: 0))
            try visitor.expectNext("VISIT")
        }
        try visitor.endInput()
        try visitor.expect(nil)
        #expect(visitor.text.contains("NEVER REFUSED"), "\(visitor.text)")
        // The counts by source have come with the workers.
        _ = try server.waitUntil { $0.connections == 6 }
        let more = try Clients.exchange(server.port, connections: 2)
        for _ in 0..<2 { try more.expectNext("STARTED") }
        _ = try server.waitUntil { $0.connections == 8 }
        let refused = try Clients.exchange(server.port)
        try refused.expect("FAILED")
        for (clients, count) in [(clients, 6), (more, 2)] {
            try clients.endInput()
            try clients.expect("WHOLE \(count) of \(count)")
        }
    }

    @Test("the process id is the same through twenty upgrades, its program the new one, and no descriptor stays behind")
    func upgrades() throws {
        let files = try TemporaryFiles()
        let copy = files.path("baton")
        try FileManager.default.copyItem(atPath: try BuiltProgram.path("baton"), toPath: copy)
        let server = try Server(["--upstream", "echo"])
        let client = try Clients.exchange(server.port, connections: 4)
        for _ in 0..<4 { try client.expectNext("STARTED") }
        var fronts: Set<Int32> = [try server.frontID()]
        var counts: [Int] = []
        for round in 1...20 {
            let binary = round.isMultiple(of: 2) ? try BuiltProgram.path("baton") : copy
            fronts.insert(try server.upgrade(binary: binary).to)
            // Its own file of what it has left for itself is closed when it has been read.
            try ProcessFacts.wait {
                let hasRead = try !ProcessFacts.descriptors(of: server.processID).contains {
                    $0.contains("baton-keeper")
                }
                let program = try ProcessFacts.program(of: server.processID)
                return hasRead && program == URL(filePath: binary).resolvingSymlinksInPath().path
            }
            counts.append(try ProcessFacts.descriptors(of: server.processID).count)
        }
        #expect(fronts.count == 21)
        #expect(try server.status().pid == server.processID)
        let (first, last) = (try #require(counts.first), try #require(counts.last))
        let open = try ProcessFacts.descriptors(of: server.processID)
        #expect(last <= first, "\(counts): \(open)")
        // What was left for another front is as good as at the beginning.
        let front = try server.frontID()
        kill(front, SIGKILL)
        _ = try server.await { $0.front != front }
        try client.endInput()
        try client.expect("WHOLE 4 of 4")
    }

    @Test(
        "a program that does not read what the keeper would leave serves all the same, and the keeper stays what it is")
    func otherState() throws {
        let files = try TemporaryFiles()
        let baton = try BuiltProgram.path("baton")
        let copy = files.path("other")
        try FileManager.default.copyItem(atPath: baton, toPath: copy)
        let binary = try files.baton(failing: "state:fail", program: copy)
        let server = try Server(["--upstream", "echo"])
        let program = try ProcessFacts.program(of: server.processID)
        try server.upgrade(binary: binary)
        try server.log("the main process goes on with the program it has")
        #expect(try ProcessFacts.program(of: server.processID) == program)
        let client = try Clients.exchange(server.port)
        try client.expect("STARTED")
        // Another front is of the new program nonetheless.
        let front = try server.frontID()
        kill(front, SIGKILL)
        let after = try server.await { $0.front != front }
        #expect(try ProcessFacts.program(of: after.front) == URL(filePath: copy).resolvingSymlinksInPath().path)
        try server.upgrade()
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
    }

    @Test("a child that ends just before the keeper executes its new program keeps it from nothing")
    func endsBeforeExecution() throws {
        let files = try TemporaryFiles()
        let copy = files.path("other")
        try FileManager.default.copyItem(atPath: try BuiltProgram.path("baton"), toPath: copy)
        let server = try Server(["--upstream", "echo"], program: [try files.baton(failing: "execute:child")])
        let client = try Clients.exchange(server.port)
        try client.expect("STARTED")
        try server.upgrade(binary: copy)
        try ProcessFacts.wait { try ProcessFacts.program(of: server.processID).hasSuffix("/other") }
        let worker = try #require(try server.status().workers.first).pid
        kill(worker, SIGKILL)
        _ = try server.await { !$0.workers.isEmpty && !$0.workers.contains { $0.pid == worker } }
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
    }

    @Test(
        "signals that come while no front is there are heard by the next: a reload, and a stop that ends all in order")
    func signalsMeanwhile() throws {
        let server = try Server(["--upstream", "echo"])
        let client = try Clients.exchange(server.port)
        try client.expect("STARTED")
        _ = try server.waitUntil { $0.connections == 1 }
        kill(try server.frontID(), SIGKILL)
        server.signal(SIGHUP)
        try server.log("the configuration has been read again")
        kill(try server.await { $0.deaths?.front == 1 }.front, SIGKILL)
        server.signal(SIGTERM)
        try server.log("shutting down")
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
        try server.end()
        #expect(server.exitStatus == 0)
        #expect(!FileManager.default.fileExists(atPath: server.control))
    }

    @Test("a front that dies after the server was told to stop is followed by one that ends it")
    func diesWhileStopping() throws {
        let server = try Server(["--upstream", "echo"])
        let client = try Clients.exchange(server.port)
        try client.expect("STARTED")
        let front = try server.frontID()
        server.signal(SIGTERM)
        try server.log("shutting down")
        kill(front, SIGKILL)
        try server.log("shutting down", count: 2)
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
        try server.end()
        #expect(server.exitStatus == 0)
    }

    @Test("a stop of the front itself is one of the server")
    func frontStopped() throws {
        let server = try Server(["--upstream", "echo"])
        kill(try server.frontID(), SIGTERM)
        try server.end()
        #expect(server.exitStatus == 0)
    }

    @Test("what is wrong at the start is told as it always was, with its exit status")
    func failedStart() throws {
        let files = try TemporaryFiles()
        let baton = try BuiltProgram.path("baton")
        let server = try Server([])
        for (arguments, words, status) in [
            (["--listen", "127.0.0.1:0", "--no-such-flag", "1"], "no-such-flag", 2 as Int32),
            (["--listen", "127.0.0.1:0", "--workers"], "has no value", 2),
            (["--listen", "127.0.0.1:\(server.port)"], "another process has it", 1),
            (["--listen", "127.0.0.1:0", "--cert", "/nonexistent.pem", "--key", "/nonexistent.key"], "nonexistent", 1),
        ] {
            let process = try PeerProcess([baton, "serve", "--control", files.path("c.sock")] + arguments)
            try process.expect(nil)
            #expect(process.text.contains(words) && process.text.contains("baton: "), "\(process.text)")
            #expect(process.status == status, "\(process.text)")
        }
    }

    @Test("a front that dies while another replaces it is followed by one of the same program, and all goes on")
    func diesDuringUpgrade() throws {
        let files = try TemporaryFiles()
        let baton = try BuiltProgram.path("baton")
        let binary = try files.baton(failing: "prepared:hang")
        let server = try Server(["--upstream", "echo"])
        let client = try Clients.exchange(server.port, connections: 4)
        for _ in 0..<4 { try client.expectNext("STARTED") }
        let before = try server.waitUntil { $0.connections == 4 }
        let upgrade = try PeerProcess([baton, "upgrade", "--control", server.control, "--binary", binary])
        try server.log("a new server starts")
        kill(before.front, SIGKILL)
        let after = try server.await { $0.front != before.front && $0.workers.count == 2 }
        #expect(after.workers.map(\.pid) == before.workers.map(\.pid))
        try upgrade.expect(nil)
        #expect(upgrade.status == 1)
        try server.upgrade()
        try client.endInput()
        try client.expect("WHOLE 4 of 4")
    }

    @Test("a worker that does not answer is killed, and another takes its place")
    func silentWorker() throws {
        let server = try Server(["--upstream", "echo", "--limits.worker-silence", "1s"], workers: 1)
        let worker = try #require(try server.status().workers.first)
        kill(worker.pid, SIGSTOP)
        try server.log("it is killed")
        let after = try server.waitUntil { $0.workers.count == 1 && $0.workers[0].pid != worker.pid }
        #expect(after.deaths == .init(front: 0, workers: 1))
        let client = try Clients.exchange(server.port)
        try client.endInput()
        try client.expect("WHOLE 1 of 1")
    }

    /// Connects again and again. A handshake may be lost; a connection is never refused, and never waits for ever.
    private static let visitorText = """
        import socket, ssl, sys, threading
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        stop = threading.Event()
        refused = 0
        def run():
            global refused
            while not stop.is_set():
                try: s = socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=60)
                except OSError:
                    refused += 1
                    continue
                try:
                    with context.wrap_socket(s) as t:
                        t.sendall(b'x')
                        if t.recv(1) == b'x': print('VISIT', flush=True)
                except (OSError, ssl.SSLError): pass
        thread = threading.Thread(target=run)
        thread.start()
        sys.stdin.read()
        stop.set()
        thread.join()
        print('NEVER REFUSED' if not refused else f'REFUSED {refused}', flush=True)
        """
}
