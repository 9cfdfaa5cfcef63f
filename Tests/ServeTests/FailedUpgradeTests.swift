import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

extension SoakTests {
    @Suite(.serialized, .timeLimit(.minutes(10)))
    struct FailedUpgradeTests {
        /// A program that fails as an upgrade's binary can.
        private func program(_ body: String, in files: TemporaryFiles) throws -> String {
            let path = try files.write("#!/bin/sh\n" + body + "\n", "baton")
            guard chmod(path, 0o755) == 0 else { throw WireError("chmod of \(path)") }
            return path
        }

        @Test("upgrades that fail one after the other, under full load, cost nothing, and the next good one works")
        func failuresUnderLoad() throws {
            let files = try TemporaryFiles()
            let server = try Server(["--upstream", "echo"])
            let clients = try Clients.exchange(server.port, connections: 8)
            for _ in 0..<8 { try clients.expect("STARTED") }
            let before = try server.waitUntilPlaced(8)
            // The way from the front to the first worker is no move.
            #expect(before.moves.handoff == 0 && before.pause.max == 0)
            let baton = try BuiltProgram.path("baton")
            let failures = [
                // It crashes before it has said anything.
                "kill -SEGV $$",
                // Its configuration is bad.
                "exec '\(baton)' \"$@\" --workers 0",
                // It has the listening sockets already, and cannot have one more.
                "exec '\(baton)' \"$@\" --listeners.taken.address 127.0.0.1:\(server.port)",
            ]
            for body in failures {
                let binary = try program(body, in: files)
                #expect(throws: RuntimeError.self, "\(body)") { try server.upgrade(binary: binary) }
                let after = try server.status()
                #expect(after.front == before.front && after.workers.map(\.pid) == before.workers.map(\.pid))
                #expect(after.moves.handoff == before.moves.handoff)
            }
            let report = try server.upgrade()
            #expect(report.connections == 8 && report.to != before.front)
            try clients.endInput()
            try clients.expect("WHOLE 8 of 8")
        }

        @Test("a new server that is killed on the way leaves the old one serving", arguments: [false, true])
        func killedOnTheWay(isReady: Bool) throws {
            let files = try TemporaryFiles()
            let server = try Server(["--upstream", "echo", "--limits.handshake-time", "5m"])
            let clients = try Clients.exchange(server.port, connections: 4)
            for _ in 0..<4 { try clients.expect("STARTED") }
            let before = try server.waitUntil { $0.connections == 4 }.front
            // One that does not get on with its handshake keeps the old server from being done.
            var silent: Wire? = try Wire.connect(UInt16(server.port))
            _ = try server.waitUntil { $0.connections == 5 }
            if isReady {
                server.signal(SIGUSR2)
                try server.log("the new server is ready; handing over")
                kill(try server.successorID(), SIGKILL)
                try server.log("this server goes on")
            } else {
                let baton = try BuiltProgram.path("baton")
                // Its first worker listens beside the two of the old server.
                let binary = try program(
                    """
                    (while [ "$(ls '\(server.control).d' | grep -c '^[0-9]*[.][0-9]*$')" -le 2 ]; do :; done; kill -KILL $$) &
                    exec '\(baton)' "$@"
                    """, in: files)
                #expect(throws: RuntimeError.self) { try server.upgrade(binary: binary) }
            }
            #expect(try server.frontID() == before)
            let others = try Clients.exchange(server.port, connections: 4)
            for _ in 0..<4 { try others.expect("STARTED") }
            if silent != nil { silent = nil }
            #expect(try server.upgrade().from == before)
            for clients in [clients, others] {
                try clients.endInput()
                try clients.expect("WHOLE 4 of 4")
            }
        }

        @Test("an upgrade that is asked for while another hands over waits for it")
        func twice() throws {
            let server = try Server(["--upstream", "echo", "--limits.handshake-time", "5m"])
            let clients = try Clients.exchange(server.port, connections: 4)
            for _ in 0..<4 { try clients.expect("STARTED") }
            var silent: Wire? = try Wire.connect(UInt16(server.port))
            let first = try server.waitUntil { $0.connections == 5 }.front
            server.signal(SIGUSR2)
            try server.log("the new server is ready; handing over")
            let second = try server.waitUntil { $0.front != first && $0.connections == 4 }.front
            kill(second, SIGUSR2)
            try server.log("the upgrade waits")
            if silent != nil { silent = nil }
            _ = try server.waitUntil { $0.front != first && $0.front != second && $0.connections == 4 }
            try clients.endInput()
            try clients.expect("WHOLE 4 of 4")
        }

        @Test("a program that does nothing is given up, and the server can be upgraded then")
        func hangs() throws {
            let files = try TemporaryFiles()
            let server = try Server(["--upstream", "echo"])
            let client = try Clients.exchange(server.port)
            try client.expect("STARTED")
            let binary = try program("exec tail -f /dev/null", in: files)
            let error = try #require(throws: RuntimeError.self) { try server.upgrade(binary: binary) }
            #expect(error.message.contains("in time"), "\(error)")
            try server.upgrade()
            try client.endInput()
            try client.expect("WHOLE 1 of 1")
        }
    }
}
