import BatonConfiguration
import BatonServer
import Foundation
import HostLab
import StockPeers
import Testing

extension DrainTests {
    /// In each case every connection is alive on exactly one host, or closed, and the report says how many.
    @Suite("that goes wrong")
    struct FaultTests {
        private static let count = 200

        @Test("leaves those that have not moved when the link is cut, and in doubt at most a batch")
        func linkCut() async throws {
            let hosts = try await Hosts(a: Self.slow)
            let report = try await drain(hosts) { try Self.cutLink(true) }
            try Self.cutLink(false)
            #expect(report.failure != nil, "\(report)")
        }

        @Test("leaves those that have not moved when the receiver is killed")
        func receiverKilled() async throws {
            let hosts = try await Hosts(a: Self.slow)
            let report = try await drain(hosts) { try Self.kill(hosts.b, "serve-migration") }
            #expect(report.failure != nil, "\(report)")
            try hosts.b.log("the migration process has died")
        }

        @Test("leaves those that have not moved when the privileged process of the receiver is killed")
        func receiverNetworkKilled() async throws {
            let hosts = try await Hosts(a: Self.slow)
            let report = try await drain(hosts) { try Self.kill(hosts.b, "serve-network") }
            #expect(report.failure != nil || report.remaining == 0, "\(report)")
        }

        @Test("leaves those that have not moved when the sender is killed")
        func senderKilled() async throws {
            let hosts = try await Hosts(a: Self.slow)
            let report = try await drain(hosts) { try Self.kill(hosts.a, "serve-migration") }
            #expect(report.failure != nil, "\(report)")
        }

        @Test("leaves those that have not moved when the privileged process of the sender is killed")
        func senderNetworkKilled() async throws {
            let hosts = try await Hosts(a: Self.slow)
            let report = try await drain(hosts) { try Self.kill(hosts.a, "serve-network") }
            // Between two batches nothing is asked of it, and the one that takes its place goes on.
            #expect(report.failure != nil || report.remaining == 0, "\(report)")
        }

        @Test("is repeated after its processes have been killed, and completes")
        func repeated() async throws {
            let hosts = try await Hosts()
            let crowd = try Clients.crowd(8)
            try crowd.expect("READY 0 failed")
            try Self.kill(hosts.b, "serve-migration")
            try hosts.b.log("the migration process has died")
            try Self.kill(hosts.a, "serve-network")
            try hosts.a.log("the privileged process has died")
            let report = try hosts.a.drainOnceTaken()
            #expect(report.isComplete && report.moved == 8, "\(report)")
            try crowd.endInput()
            try crowd.expect("WHOLE 8 of 8")
        }

        @Test("leaves those for which the target has no room, with the reason")
        func noRoom() async throws {
            let hosts = try await Hosts()
            let crowd = try Clients.crowd(30)
            try crowd.expect("READY 0 failed")
            // Too few to restore anything.
            let privileged = try #require(try hosts.b.processes("serve-network").first)
            let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(privileged)/fd").count
            let limit = try PeerProcess(["prlimit", "--pid", "\(privileged)", "--nofile=\(open + 2):\(open + 2)"])
            try limit.expect(nil)
            let report = try hosts.a.drain()
            #expect(report.inDoubt == 0 && report.lost == 0, "\(report)")
            #expect(report.moved + report.stayed.values.reduce(0, +) == 30 && !report.stayed.isEmpty, "\(report)")
            try crowd.endInput()
            try crowd.expect("WHOLE 30 of 30")
        }

        @Test("stops after the batch under way when it is interrupted; moving on, and back, works at once")
        func interrupted() async throws {
            let hosts = try await Hosts(a: Self.slow)
            let crowd = try Clients.crowd(Self.count)
            try crowd.expect("READY 0 failed")
            let drain = try hosts.a.startDrain()
            try hosts.b.waitUntil { $0.moves.migration > 0 }
            Foundation.kill(drain.processID, SIGTERM)
            let report = try Host.report(of: drain)
            #expect(report.isInterrupted && report.moved > 0, "\(report)")
            // What has come is counted a moment later.
            let b = try hosts.b.waitUntil { $0.connections == report.moved }.connections
            try hosts.a.waitUntil { $0.connections == Self.count - b }
            let back = try hosts.b.drain()
            #expect(back.moved == b && back.stayed.isEmpty, "\(back)")
            let again = try hosts.a.drain()
            #expect(again.isComplete && again.moved == Self.count, "\(again)")
            try crowd.endInput()
            try crowd.expect("WHOLE \(Self.count) of \(Self.count)")
        }

        // MARK: Doing harm

        /// So slow that the drain is under way when harm is done.
        private static var slow: Host.Options {
            var options = Host.Options()
            options.migration = "  bandwidth: 64K\n"
            return options
        }

        /// Drains A of many connections, and does harm when some have moved. Every connection that the report does not give
        /// up must be alive.
        private func drain(_ hosts: Hosts, harm: () throws -> Void) async throws -> DrainReport {
            let crowd = try Clients.crowd(Self.count)
            try crowd.expect("READY 0 failed")
            let drain = try hosts.a.startDrain()
            try hosts.b.waitUntil { $0.moves.migration > 0 }
            try harm()
            let report = try Host.report(of: drain)
            try Self.cutLink(false)
            try crowd.endInput()
            try crowd.expect("WHOLE ")
            let whole = try crowd.number(behind: "WHOLE ")
            // One batch is under way at a time, and of a process that was killed nobody can say what it had moved.
            #expect(whole >= Self.count - 32, "\(report) \(crowd.text)")
            #expect(whole >= Self.count - report.inDoubt - report.lost - (report.failure == nil ? 0 : 32), "\(report)")
            #expect(report.moved > 0, "\(report)")
            return report
        }

        private static func kill(_ host: Host, _ kind: String) throws {
            let processes = try host.processes(kind)
            guard !processes.isEmpty else { throw WireError("there is no \(kind)") }
            for process in processes { Foundation.kill(process, SIGKILL) }
        }

        /// Drops what the migration processes say to each other, both ways, or no longer.
        private static func cutLink(_ isCut: Bool) throws {
            let table = "inet drain-test"
            let commands =
                isCut
                ? "add table \(table); add chain \(table) in { type filter hook input priority 0; }; "
                    + "add rule \(table) in tcp dport 9440 drop; add rule \(table) in tcp sport 9440 drop"
                : "add table \(table); delete table \(table)"
            let process = try PeerProcess(Host.inside(.a) + ["nft", commands])
            try process.expect(nil)
        }
    }
}
