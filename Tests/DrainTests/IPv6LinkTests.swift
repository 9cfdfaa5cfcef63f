import BatonConfiguration
import BatonServer
import HostLab
import StockPeers
import Testing

extension DrainTests {
    @Suite("over a link of IPv6")
    struct IPv6LinkTests {
        @Test("connections of both families go there and back")
        func peersAtIPv6() async throws {
            try await thereAndBack(addresses: nil)
        }

        @Test("connections of IPv6 go there and back between hosts without IPv4 addresses of their own")
        func withoutIPv4() async throws {
            try await Hosts.reset()
            for role in [Lab.Role.a, .b] { try ownAddress("del", role) }
            defer { for role in [Lab.Role.a, .b] { try? ownAddress("add", role) } }
            try await thereAndBack(addresses: ["2001:db8::100", "2001:db8:1::100"])
        }

        private func thereAndBack(addresses: [String]?) async throws {
            let hosts = try await Hosts(a: options(.a, addresses), b: options(.b, addresses))
            let population = try Population(12, addresses: addresses.map { Array($0.prefix(1)) })
            for (source, target) in [(hosts.a, hosts.b), (hosts.b, hosts.a)] {
                let report = try source.drain()
                #expect(report.isComplete && report.moved == 12, "\(report)")
                #expect(report.addresses.count == addresses?.count ?? 4, "\(report)")
                #expect(try population.alive() == 12)
                try population.renew()
                _ = try source.waitUntil { $0.connections == 0 }
                try target.waitUntil { $0.connections == 12 }
            }
        }

        private func options(_ role: Lab.Role, _ addresses: [String]?) -> Host.Options {
            var options = Host.Options()
            options.listen = role == .a ? "[2001:db8::2]" : "[2001:db8::3]"
            options.peerAddress = role == .a ? "[2001:db8::3]:9440" : "[2001:db8::2]:9440"
            if let addresses { options.addresses = addresses }
            return options
        }

        private func ownAddress(_ verb: String, _ role: Lab.Role) throws {
            let process = try PeerProcess(
                Host.inside(role) + ["ip", "addr", verb, "\(Host.link(role))/24", "dev", "e0"])
            try process.expect(nil)
        }
    }
}
