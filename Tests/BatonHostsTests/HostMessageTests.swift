import HostMigration
import Testing

@testable import BatonHosts

@Suite("What hosts say to each other")
struct HostMessageTests {
    private static let flow = Flow(
        local: Endpoint(IPAddress("192.0.2.100")!, port: 443), remote: Endpoint(IPAddress("192.0.2.1")!, port: 5_000))!
    private static let flow6 = Flow(
        local: Endpoint(IPAddress("2001:db8::100")!, port: 443), remote: Endpoint(IPAddress("2001:db8::1")!, port: 5))!
    private static let messages: [HostMessage] = [
        .hello(versions: 1...3, NextHop(IPAddress("192.0.2.2")!, IPAddress("2001:db8::2")!)),
        .hello(versions: 1...1, NextHop()), .begin, .newcomers, .done, .bye,
        .addresses([], staying: []),
        .addresses([IPAddress("192.0.2.100")!, IPAddress("2001:db8::100")!], staying: [flow, flow6]),
        .failed(MigrationError(.hostBusy)), .failed(MigrationError(.systemCall, "take: no such device")),
    ]

    @Test("is read as it was written")
    func roundTrip() {
        for message in Self.messages { #expect(read(message.encoded) == message) }
    }

    @Test("cut anywhere, or with any bit changed, it is nothing or another message, and never traps")
    func damaged() {
        for message in Self.messages {
            let bytes = message.encoded
            for length in 0..<bytes.count { #expect(read(Array(bytes.prefix(length))) != message) }
            for index in bytes.indices {
                for bit in 0..<8 {
                    var changed = bytes
                    changed[index] ^= 1 << bit
                    #expect(read(changed) != message)
                }
            }
        }
    }

    @Test("its text is fit for a log")
    func text() {
        let failed = read([69, 44] + Array("a\u{1B}[31m\nb".utf8))
        #expect(failed == .failed(MigrationError(.steeringRules, "a[31mb")))
        #expect(read([69, 44] + [UInt8](repeating: 65, count: 513)) == nil)
        // A reason of a later version.
        #expect(read([69, 255]) == .failed(MigrationError(.declined)))
    }

    @Test("the messages of a batch are none of these")
    func batches() {
        for kind in UInt8(0)..<HostMessage.lowest { #expect(read([kind]) == nil) }
    }

    private func read(_ bytes: [UInt8]) -> HostMessage? { bytes.withUnsafeBytes { HostMessage($0) } }
}
