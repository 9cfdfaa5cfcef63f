import BatonCore
import Glibc
import HostLab
import HostMigration
import Testing

extension LabTests {
    /// In a namespace of the lab where nobody has the hold device.
    @Suite("The privileged process")
    struct NetworkServerTests {
        private static let policy = NetworkPolicy(
            interfaces: ["e1"], addresses: [IPAddress("198.51.100.4")!, IPAddress("2001:db8:1::4")!])
        private static let other = NextHop(IPAddress("198.51.100.2")!, IPAddress("2001:db8:1::2")!)

        @Test("forwards what stays at the other host, however much it is, and nothing of this host's own addresses")
        func forwarding() async throws {
            var ends: [Int32] = [-1, -1]
            try #require(
                socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0)
            let far = ends[1]
            let running = Lab.shared.start(in: .backend) {
                try NetworkServer(Self.policy, owning: far).run(isRestarted: false)
            }
            do {
                let client = NetworkClient(owning: ends[0])
                let own = try #require(
                    Flow(
                        local: Endpoint(IPAddress("198.51.100.9")!, port: 22),
                        remote: Endpoint(IPAddress("198.51.100.2")!, port: 40_000)))
                try client.takeAddresses([], forwarding: Lab.exampleFlows(2500) + [own], to: Self.other)
                #expect(try client.steeredCount() == 2500)
                // The next time all that is no longer told is forgotten.
                try client.takeAddresses([], forwarding: Lab.exampleFlows(3), to: Self.other)
                #expect(try client.steeredCount() == 3)
                #expect(throws: MigrationError.self) {
                    try client.takeAddresses([IPAddress("198.51.100.9")!], forwarding: [], to: Self.other)
                }
            }
            try await running.value
            let rules = try await Lab.shared.run(in: .backend) {
                defer { try? FlowSteering.cleanUp() }
                return try Lab.rules()
            }
            #expect(!rules.contains("198.51.100.9"))
        }
    }
}
