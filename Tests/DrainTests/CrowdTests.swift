import BatonConfiguration
import BatonServer
import HostLab
import StockPeers
import Testing

extension DrainTests {
    @Suite("with many connections")
    struct CrowdTests {
        @Test("500 under traffic go there and back: all alive, equal digests, no reset and no retransmission timeout")
        func fiveHundred() async throws {
            let hosts = try await Hosts()
            let crowd = try Clients.crowd(500)
            try crowd.expect("READY 0 failed")
            let before = try await Lab.draining.run(in: .client) { try TCPCounters.read() }
            let there = try hosts.a.drain()
            #expect(there.isComplete && there.moved == 500, "\(there)")
            _ = try hosts.a.waitUntil { $0.connections == 0 }
            let back = try hosts.b.drain()
            #expect(back.isComplete && back.moved == 500, "\(back)")
            let counted = try await Lab.draining.run(in: .client) { try TCPCounters.read() } - before
            try crowd.endInput()
            try crowd.expect("WHOLE 500 of 500")
            #expect(counted.resets == 0)
            if there.wasQuick, back.wasQuick { #expect(counted.timeouts == 0) }
        }

        @Test("ten drains, back and forth, while new connections come at every moment")
        func tenDrains() async throws {
            let hosts = try await Hosts()
            let crowd = try Clients.crowd(24)
            try crowd.expect("READY 0 failed")
            // Each of these connects, says a few words and goes, one after the other.
            let visitors = try Clients.visitors()
            try visitors.expect("VISIT 3\n")
            for round in 0..<10 {
                let report = try hosts[round % 2 == 0 ? .a : .b].drain()
                #expect(report.isComplete && report.moved >= 24, "\(round): \(report)")
            }
            try visitors.endInput()
            try visitors.expect(nil)
            #expect(visitors.text.contains("NONE FAILED"), "\(visitors.text.suffix(500))")
            try crowd.endInput()
            try crowd.expect("WHOLE 24 of 24")
        }

        @Test("40 proxied sessions whose backend is on the third host go there and back")
        func proxied() async throws {
            let backend = try Clients.backendEcho()
            defer { withExtendedLifetime(backend) {} }
            var options = Host.Options()
            options.upstream = "198.51.100.4:7000"
            let hosts = try await Hosts(a: options, b: options)
            let crowd = try Clients.crowd(40)
            try crowd.expect("READY 0 failed")
            for role in [Lab.Role.a, .b] {
                let report = try hosts[role].drain()
                #expect(report.isComplete && report.moved == 40, "\(report)")
            }
            try crowd.endInput()
            try crowd.expect("WHOLE 40 of 40")
        }

        @Test("a dry run says what would move, and moves nothing")
        func dryRun() async throws {
            let hosts = try await Hosts()
            let crowd = try Clients.crowd(20)
            try crowd.expect("READY 0 failed")
            let report = try hosts.a.drain(["--dry-run"])
            #expect(report.isDryRun && report.moved == 20 && report.stayed.isEmpty, "\(report)")
            _ = try hosts.a.waitUntil { $0.connections == 20 }
            _ = try hosts.b.waitUntil { $0.connections == 0 }
            try crowd.endInput()
            try crowd.expect("WHOLE 20 of 20")
        }
    }
}
