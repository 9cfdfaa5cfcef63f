import BatonConfiguration
import Testing

@testable import BatonServer

@Suite("The memory of relays")
struct RelayMemoryTests {
    @Test("is as large as the configuration says, or as suits the machine")
    func size() {
        var limits = Limits()
        #expect(limits.relayExtents >= 16)
        #expect(limits.relayExtents <= (1 << 30) / 65_536)
        #expect(limits.relayExtents * 65_536 <= max(1 << 20, SystemMemory.total / 2))
        limits.relayMemory = 1 << 20
        #expect(limits.relayExtents == 16)
        limits.relayMemory = 3 << 30
        #expect(limits.relayExtents == 49_152)
        #expect(limits.relaySlots == 65_536)
        limits.relaysPerWorker = 10
        #expect(limits.relaySlots == 10)
        limits.connections = 5
        #expect(limits.relaySlots == 5)
    }

    @Test("may not be more than there is")
    func obstacle() {
        #expect(SystemMemory.total > 1 << 20)
        #expect(Obstacle.of(.memory(1 << 20)) == nil)
        #expect(Obstacle.of(.memory(SystemMemory.total)) == nil)
        let reason = Obstacle.of(.memory(SystemMemory.total + 1))
        #expect(reason == "is more than the \(SystemMemory.total >> 20)M that this machine or its cgroup has")
    }
}
