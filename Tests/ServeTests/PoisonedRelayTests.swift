import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

#if DEBUG
    @Suite("A connection that is a fault to its worker", .serialized, .timeLimit(.minutes(5)))
    struct PoisonedRelayTests {
        private static let poison = "a fault to whoever reads it"

        @Test("it is closed when it has ended two, and hundreds of others go on whole")
        func poisoned() throws {
            let files = try TemporaryFiles()
            let crowd = try BusyCrowd(.plain, count: 200, rate: 1, files: files)
            let server = try Server(
                [
                    "--config", try crowd.configuration(in: files), "--limits.handshake-time", "5m", "--admin",
                    "127.0.0.1:0",
                ], program: ["env", "BATON_FAULT=poison:\(Self.poison)", try BuiltProgram.path("baton")])
            let admin = "http://127.0.0.1:\(try server.number(behind: "admin=127.0.0.1:"))/metrics"
            let other = try stranger(server.port)
            try crowd.connect(port: server.port)
            _ = try server.waitUntil { $0.connections == 201 }
            try other.send("\n")
            try other.expect("CUT OFF")
            try server.log("1 poisoned")
            let after = try server.waitUntil { $0.deaths?.workers == 2 && $0.connections == 200 && $0.isReady }
            #expect(after.workers.count == 2)
            try crowd.pass()
            let metrics = try PeerProcess(["curl", "-s", admin])
            try metrics.expect(nil)
            let lost = metrics.text.split(separator: "\n").filter { $0.hasPrefix("baton_lost_connections_total{") }
            #expect(lost.count == 1 && lost[0].contains("reason=\"poisoned\"") && lost[0].hasSuffix(" 1"), "\(lost)")
            // Whoever comes next is served.
            let next = try stranger(server.port)
            _ = try server.waitUntil { $0.connections == 201 }
            withExtendedLifetime(next) {}
            try crowd.end()
        }

        /// A connection to the crowd's upstream that is none of the crowd. It sends the poison when it is told to.
        private func stranger(_ port: Int) throws -> PeerProcess {
            let process = try PeerProcess(["python3", "-c", Self.strangerText, "\(port)", Self.poison])
            try process.expect("STARTED")
            return process
        }

        private static let strangerText = """
            import socket, ssl, sys
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            s = context.wrap_socket(socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=60), suppress_ragged_eofs=False)
            s.sendall(b'\\xff\\xff\\xff\\xff')
            assert s.recv(1) == b'!'
            s.sendall(b'hello')
            assert s.recv(100) == b'hello'
            print('STARTED', flush=True)
            sys.stdin.readline()
            s.sendall(sys.argv[2].encode())
            try: print('ENDED', s.recv(100), flush=True)
            # Python tells a reset as an end without close_notify.
            except (ConnectionResetError, ssl.SSLEOFError): print('CUT OFF', flush=True)
            """
    }

    extension StatusReport {
        /// Whether no worker is starting, ending or silent.
        fileprivate var isReady: Bool { workers.allSatisfy { $0.state == "ready" } }
    }
#endif
