import BatonConfiguration
import BatonCore
import BatonServer
import Foundation
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

        @Test("a connection of another program at a service address goes on: the other host sends its packets back")
        func otherProgram() async throws {
            let hosts = try await Hosts()
            let lab = Lab.draining
            let listener = try await lab.run(in: .a) { try Sockets.listen(.ipv4, port: 7979) }
            let client = try await lab.run(in: .client) { try Sockets.connect(.ipv4, port: 7979) }
            let server = try await lab.run(in: .a) { try Sockets.accept(listener) }
            defer { for descriptor in [listener, client, server] { close(descriptor) } }
            let before = try await lab.run(in: .client) { try Self.neighbour() }
            let report = try hosts.a.drain()
            #expect(report.addresses.contains("192.0.2.100"), "\(report)")
            try await lab.run(in: .client) {
                // Now the client sends to the other host.
                try Sockets.wait("the announcement") { (try? Self.neighbour()) != before }
                for round in UInt8(0)..<5 {
                    try Sockets.writeAll(client, [round])
                    #expect(try Sockets.readExactly(server, 1) == [round])
                    try Sockets.writeAll(server, [round, 0])
                    #expect(try Sockets.readExactly(client, 2) == [round, 0])
                }
            }
        }

        /// Where the calling thread's namespace sends what is for the service address: a line of its ARP table.
        private static func neighbour() throws -> String {
            let table = try String(contentsOfFile: "/proc/thread-self/net/arp", encoding: .utf8)
            return table.split(separator: "\n").first { $0.hasPrefix("192.0.2.100 ") }.map(String.init) ?? ""
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
