import BatonConfiguration
import BatonCore
import BatonServer
import HostLab
import HostMigration
import StockPeers
import Testing

/// Both hosts, A with the service addresses. Made anew for each test.
final class Hosts {
    let a: Host
    let b: Host

    init(a: Host.Options = Host.Options(), b: Host.Options = Host.Options()) async throws {
        try await Hosts.reset()
        self.a = try Host(.a, a)
        self.b = try Host(.b, b)
    }

    subscript(role: Lab.Role) -> Host { role == .a ? a : b }

    /// Whatever earlier tests have left: processes, rules, addresses.
    static func reset() async throws {
        for role in [Lab.Role.a, .b] {
            try Host.clear(role)
            try await Lab.draining.run(in: role) {
                try FlowSteering.cleanUp()
                for (interface, addresses) in service {
                    let takeover = try AddressTakeover(interface: interface)
                    for address in addresses.map({ IPAddress($0)! }) {
                        role == .a ? try takeover.take(address) : try takeover.give(address)
                    }
                }
            }
        }
        // A has told of it before B gave up: now B is silent, once more.
        try await Lab.draining.run(in: .a) {
            for (interface, addresses) in service {
                let takeover = try AddressTakeover(interface: interface)
                for address in addresses { try takeover.announce(IPAddress(address)!) }
            }
        }
    }

    /// The service addresses that the host answers for, sorted.
    static func serviceAddresses(of role: Lab.Role) async throws -> [String] {
        try await Lab.draining.run(in: role) {
            InterfaceAddress.all().filter { service[$0.interface]?.contains("\($0.address)") ?? false }
                .map { "\($0.address)" }.sorted()
        }
    }

    private static let service = [
        "e0": ["192.0.2.100", "2001:db8::100"], "e1": ["198.51.100.100", "2001:db8:1::100"],
    ]
}

extension DrainReport {
    /// Whether its pauses were so short that no timer of a client, 200 ms at least, had to fire.
    var wasQuick: Bool { pause.max < 100_000 }
}

extension Lab {
    /// Not the lab of other tests: `baton serve` has hold devices of its own, and the addresses move.
    static let draining = Lab("d")
}
