import Foundation
import StockPeers
import Testing

@Suite("Workers in other languages behind baton serve", .timeLimit(.minutes(5)))
struct LanguageWorkerTests {
    private let files: TemporaryFiles
    private let server: WorkerServer

    init() throws {
        files = try TemporaryFiles()
        server = try WorkerServer(programAt: files.path("blue"), in: files)
    }

    @Test(
        "a worker answers the first request, which the server has read, and the next one, on one connection of curl's",
        arguments: WorkerLanguage.allCases)
    func answers(language: WorkerLanguage) throws {
        let worker = try language.start(at: files.path("blue"), other: files.path("green"), in: files)
        let url = "https://127.0.0.1:\(server.port)"
        let curl = try PeerProcess(
            ["curl", "-sk", "--max-time", "60", "-w", "connects %{num_connects}\n", "\(url)/program/a"]
                + ["\(url)/program/b", "-d", String(repeating: "x", count: 100_000)])
        try curl.expect(nil)
        #expect(curl.text.contains("process \(worker.processID) answers /program/a, request 1"), "\(curl.text)")
        #expect(curl.text.contains("process \(worker.processID) answers /program/b, request 2"), "\(curl.text)")
        #expect(curl.text.contains("connects 1") && curl.text.contains("connects 0"), "\(curl.text)")
        let page = try PeerProcess(["curl", "-sk", "--max-time", "60", "\(url)/"])
        try page.expect(nil)
        #expect(page.text.contains("This connection is alive"), "\(page.text)")
    }

    @Test(
        "a worker that ends hands its connection on in the midst of a request, to one in either language",
        arguments: WorkerLanguage.allCases, WorkerLanguage.allCases)
    func handsOn(from language: WorkerLanguage, to other: WorkerLanguage) throws {
        let (blue, green) = (files.path("blue"), files.path("green"))
        let first = try language.start(at: blue, other: green, in: files)
        let second = try other.start(at: green, other: blue, in: files)
        let client = try PeerProcess(
            ["openssl", "s_client", "-connect", "127.0.0.1:\(server.port)", "-quiet", "-nocommands"])
        try client.send("GET /program/before HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try client.expect("process \(first.processID) answers /program/before, request 1 it saw here\n")
        // The answer says that the beginning of the next request has come, too.
        try client.send("GET /program/between HTTP/1.1\r\nHost: localhost\r\n\r\nGET /program/af")
        try client.expect("process \(first.processID) answers /program/between, request 2 it saw here\n")
        kill(first.processID, SIGTERM)
        try first.expect("process \(first.processID) has handed on 1 connections\n")
        try first.expect(nil)
        #expect(first.status == 0)
        try client.send("ter HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        try client.expect("process \(second.processID) answers /program/after, request 1 it saw here\n")
        try client.expect(nil)
    }

    @Test("a path that another worker has is refused in one line", arguments: WorkerLanguage.allCases)
    func refusesSecond(language: WorkerLanguage) throws {
        let first = try language.start(at: files.path("blue"), other: files.path("green"), in: files)
        let second = try PeerProcess(try language.command(in: files) + [files.path("blue")])
        try second.expect(nil)
        #expect(second.status == 1)
        let reason = "another process listens at \(files.path("blue")); stop it or choose another path\n"
        #expect(second.text.hasSuffix(reason))
        #expect(second.text.split(separator: "\n").count == 1, "\(second.text)")
        #expect(first.isRunning)
    }

    @Test("the addon answers wrong use with an exception")
    func wrongUse() throws {
        let addon = try WorkerLanguage.node.command(in: files)[1]
        let program = try PeerProcess(["env", addon, "node", "-e", Self.wrongUseText, files.path("inbox")])
        try program.expect(nil)
        #expect(program.text == "all refused\n")
        #expect(program.status == 0)
    }

    private static let wrongUseText = """
        const baton = require(process.env.BATON_ADDON);
        const assert = require('node:assert');
        const inbox = baton.listen(process.argv[1]);
        const wrong = [undefined, null, 1, 'x', {}, [], Buffer.alloc(8), new Map()];
        const ofConnections = ['fill', 'flush', 'read', 'write', 'close', 'finish', 'discard', 'suspend', 'resume'];
        for (const name of [...ofConnections, 'outgoingCount']) {
            for (const value of [...wrong, inbox]) assert.throws(() => baton[name](value, Buffer.from('x')), TypeError, name);
        }
        for (const name of ['take', 'stop', 'free', 'descriptor', 'rewatch', 'unwatch']) {
            for (const value of wrong) assert.throws(() => baton[name](value, 1), TypeError, name);
        }
        assert.throws(() => baton.listen('/' + 'x'.repeat(200)), TypeError);
        assert.throws(() => baton.listen(process.argv[1]), /another process listens/);
        assert.throws(() => baton.watch(-1, 1, () => {}), TypeError);
        assert.throws(() => baton.watch(0, 1, 'no function'), TypeError);
        for (const items of [1, [1], [[inbox, Buffer.alloc(0)]], {length: 4}]) {
            assert.throws(() => baton.offer('/nowhere', items, 1), TypeError);
        }
        assert.throws(() => baton.offer('/nowhere', [], -1), TypeError);
        assert.strictEqual(baton.take(inbox), null);
        baton.free(inbox);
        assert.throws(() => baton.take(inbox), TypeError);
        console.log('all refused');
        """
}
