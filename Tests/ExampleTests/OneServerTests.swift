import Foundation
import StockPeers
import Testing

/// `Examples/OneServer` and `Examples/C/oneserver`.
@Suite(.timeLimit(.minutes(2)))
struct OneServerTests {
    enum Language: CaseIterable { case swift, c }

    private let files: TemporaryFiles
    private let path: String

    init() throws {
        files = try TemporaryFiles()
        path = files.path("socket")
    }

    private func command(_ language: Language) throws -> [String] {
        guard language == .c else { return ["stdbuf", "-oL", try BuiltProgram.path("OneServer"), path] }
        let program = files.path("oneserver")
        if access(program, X_OK) != 0 {
            let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent().appendingPathComponent("Examples/C/oneserver/oneserver.c").path
            let compiler = try PeerProcess(
                ["clang", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-o", program, source])
            try compiler.expect(nil)
            guard compiler.status == 0 else { throw WireError("\(source) cannot be built: \(compiler.text)") }
        }
        return [program, path]
    }

    private func start(_ language: Language) throws -> PeerProcess {
        let server = try PeerProcess(try command(language))
        try server.expect("process \(server.processID) serves \(path)\n")
        return server
    }

    private func ask() throws -> String {
        let client = try PeerProcess(["python3", "-c", Self.clientText, path])
        try client.expect(nil)
        return client.text
    }

    @Test("a second one is refused in one line while the first lives", arguments: Language.allCases, Language.allCases)
    func busy(first: Language, second: Language) throws {
        let server = try start(first)
        let other = try PeerProcess(try command(second))
        try other.expect(nil)
        let name = second == .swift ? "OneServer" : "oneserver"
        #expect(other.text == "\(name): another process listens at \(path); stop it or choose another path\n")
        #expect(other.status == 1)
        #expect(try ask() == "process \(server.processID)\n")
    }

    @Test(
        "the socket of one that was killed is taken over; one that ends leaves nothing", arguments: Language.allCases,
        Language.allCases)
    func stale(first: Language, second: Language) throws {
        let killed = try start(first)
        kill(killed.processID, SIGKILL)
        try killed.expect(nil)
        #expect(access(path, F_OK) == 0)
        let next = try start(second)
        #expect(try ask() == "process \(next.processID)\n")
        kill(next.processID, SIGTERM)
        try next.expect(nil)
        #expect(next.status == 0)
        #expect(access(path, F_OK) != 0 && access(path + ".lock", F_OK) != 0)
    }

    @Test("of many that start at once, at the socket of one that was killed, one serves")
    func together() throws {
        let killed = try start(.swift)
        kill(killed.processID, SIGKILL)
        try killed.expect(nil)
        let commands = try Language.allCases.map(command)
        let starters = try (0..<12).map { try PeerProcess(commands[$0 % 2]) }
        var serving: [PeerProcess] = []
        for starter in starters {
            try starter.expect(path)
            if starter.text.contains(" serves ") {
                serving.append(starter)
            } else {
                try starter.expect(nil)
                #expect(starter.text.contains("another process listens at") && starter.status == 1)
            }
        }
        #expect(serving.count == 1)
        #expect(try ask() == "process \(serving.first?.processID ?? 0)\n")
    }

    @Test("a server that knows nothing of the lock, and a file, are left alone", arguments: Language.allCases)
    func strangers(language: Language) throws {
        let stranger = try PeerProcess(["python3", "-c", Self.strangerText, path])
        try stranger.expect("LISTENS\n")
        let refused = try PeerProcess(try command(language))
        try refused.expect(nil)
        #expect(refused.text.contains("another process listens at \(path)") && refused.status == 1)
        #expect(try ask() == "a stranger\n")
        kill(stranger.processID, SIGKILL)
        try stranger.expect(nil)
        unlink(path)
        _ = try files.write("mine", "socket")
        let other = try PeerProcess(try command(language))
        try other.expect(nil)
        #expect(other.text.contains("is a file that is no socket"))
        #expect(other.status == 1)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "mine")
    }

    private static let clientText = """
        import socket, sys
        client = socket.socket(socket.AF_UNIX)
        client.connect(sys.argv[1])
        print(client.makefile().read(), end='')
        """

    private static let strangerText = """
        import socket, sys
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(sys.argv[1])
        listener.listen(8)
        print('LISTENS', flush=True)
        while True:
            client = listener.accept()[0]
            try:
                client.sendall(b'a stranger\\n')
            except OSError:
                pass
            client.close()
        """
}
