import BatonConfiguration
import BatonServer
import HostLab
import StockPeers
import Testing

extension DrainTests {
    @Suite("beside strangers at the migration listener")
    struct StrangerTests {
        @Test("moves everything, while more of them than there are places say nothing and come again")
        func silence() async throws {
            let hosts = try await Hosts()
            let population = try Population(4)
            let strangers = try Strangers(20, at: hosts.b)
            let report = try hosts.a.drain()
            #expect(report.isComplete && report.moved == 4, "\(report)")
            #expect(try population.alive() == 4)
            withExtendedLifetime(strangers) {}
        }

        @Test("keeps nobody that says nothing, also where there is room")
        func patience() async throws {
            let hosts = try await Hosts()
            try Strangers(1, at: hosts.b).process.expect("HUNG UP ON")
        }
    }

    /// Addresses of A, each with a connection to B that says nothing and is made anew when it has ended. The one from A's own
    /// address is not.
    private final class Strangers {
        let process: PeerProcess
        private let addresses: [String]

        init(_ count: Int, at host: Host) throws {
            addresses = (0..<count).map { "192.0.2.\(201 + $0)" }
            try Self.change("add", addresses)
            process = try PeerProcess(
                Host.inside(.a)
                    + ["python3", "-c", Self.program, Host.link(host.role), Host.link(.a)] + addresses)
            try process.expect("THERE")
        }

        deinit { try? Self.change("del", addresses) }

        private static func change(_ word: String, _ addresses: [String]) throws {
            let commands = addresses.map { "addr \(word) \($0)/32 dev e0\n" }.joined()
            let process = try PeerProcess(Host.inside(.a) + ["ip", "-force", "-batch", "-"])
            try process.send(commands)
            try process.endInput()
            try process.expect(nil)
        }

        private static let program = """
            import selectors, socket, sys
            host, sources = sys.argv[1], sys.argv[2:]
            selector = selectors.DefaultSelector()
            def begin(source):
                s = socket.socket()
                s.bind((source, 0))
                s.connect((host, 9440))
                selector.register(s, selectors.EVENT_READ, source)
            for source in sources[1:]: begin(source)
            begin(sources[0])
            print('THERE', flush=True)
            told = False
            while True:
                for key, _ in selector.select():
                    try:
                        if key.fileobj.recv(1000): continue
                    except OSError: pass
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
                    if not told: print('HUNG UP ON', flush=True)
                    told = True
                    if key.data != sources[0]: begin(key.data)
            """
    }
}
