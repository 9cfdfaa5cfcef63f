import BatonCore
import Foundation
import TLSRecords
import Testing

@testable import HostMigration

@Suite("An encoded frozen socket")
struct FrozenSocketCodingTests {
    @Test("comes back as it was", arguments: [IPAddress.Family.ipv4, .ipv6])
    func roundTrip(_ family: IPAddress.Family) throws {
        let bytes = Array(sample(family))
        let again = try decode(bytes)
        #expect(again.flow == flow(family))
        #expect(again.options.values[.noDelay] == 1)
        #expect(again.options.linger == 5)
        #expect(again.window.lastAdvertised == 0xFFFF_FFF0)
        #expect(again.sendQueue.withBytes { Array($0) } == [1, 2, 3, 4, 5])
        #expect(again.unsentCount == 2)
        #expect(again.receiveQueue.withBytes { Array($0) } == [9, 8, 7])
        #expect(again.encoded().withUnsafeBytes { Array($0) } == bytes)
    }

    @Test("is written as the golden bytes, which were made from the format's description by other means")
    func golden() throws {
        #expect(try sample(.ipv4) == golden("ipv4"))
        #expect(try sample(.ipv4, companion: Array("a parcel".utf8)) == golden("ipv4-companion"))
    }

    private func golden(_ name: String) throws -> [UInt8] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../../Fuzz/corpus/frozensocket")
        return Array(try Data(contentsOf: folder.appending(path: name)))
    }

    @Test("brings what accompanies it")
    func companion() throws {
        let companion = (0..<5_000).map { UInt8(truncatingIfNeeded: $0) }
        let bytes = sample(.ipv6, companion: companion)
        var again = try decode(bytes)
        #expect(again.encoded().withUnsafeBytes { Array($0) } == bytes)
        var brought: [UInt8] = []
        if let taken = again.companion.take() { brought = taken.withUnsafeBytes { Array($0) } }
        #expect(brought == companion)
        // Without it the encoding is the one of a release that knows no companion.
        #expect(again.encoded().withUnsafeBytes { Array($0) } == sample(.ipv6))
    }

    @Test("is written without an empty companion, and refused with one")
    func emptyCompanion() {
        #expect(sample(.ipv4, companion: []) == sample(.ipv4))
        #expect(throws: MigrationError(.malformed, "companion")) { try decode(sample(.ipv4) + [18, 0, 0, 0, 0]) }
    }

    @Test("cut anywhere is refused", arguments: [IPAddress.Family.ipv4, .ipv6])
    func truncation(_ family: IPAddress.Family) {
        let bytes = sample(family)
        for length in 0..<bytes.count {
            #expect(throws: MigrationError.self, "\(length)") { try decode(Array(bytes.prefix(length))) }
        }
        let accompanied = sample(family, companion: [1, 2, 3])
        for length in bytes.count + 1..<accompanied.count {
            #expect(throws: MigrationError.self, "\(length)") { try decode(Array(accompanied.prefix(length))) }
        }
    }

    @Test("with any bit changed is refused or another valid value, and never traps")
    func mutation() {
        let bytes = sample(.ipv6, companion: [1, 2, 3])
        for index in bytes.indices {
            for bit in 0..<8 {
                var damaged = bytes
                damaged[index] ^= 1 << bit
                guard let value = try? decode(damaged) else { continue }
                // With its highest bit the companion's tag is that of a field which may be ignored, and is left out.
                if damaged[index] == 18 | 0x80, index == bytes.count - 8 { continue }
                // One spelling of each value: what is accepted is written the same way again.
                #expect(value.encoded().withUnsafeBytes { Array($0) } == damaged)
            }
        }
    }

    @Test("with a byte behind it is refused")
    func trailing() {
        #expect(throws: MigrationError.self) { try decode(sample(.ipv4) + [0]) }
    }

    @Test("of another version is refused as such")
    func version() {
        var bytes = sample(.ipv4)
        bytes[4] = 2
        #expect(throws: MigrationError(.unsupportedVersion, "2")) { try decode(bytes) }
    }

    @Test("with a field this version does not know is refused, unless the field may be ignored")
    func unknownField() throws {
        #expect(throws: MigrationError(.malformed, "field 99")) {
            try decode(sample(.ipv4) + [99, 0, 0, 0, 1, 0])
        }
        _ = try decode(sample(.ipv4) + [0x80 | 99, 0, 0, 0, 1, 0])
    }

    @Test("with a length that reaches beyond it is refused")
    func overlong() {
        #expect(throws: MigrationError(.malformed, "truncated")) {
            try decode(sample(.ipv4) + [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0])
        }
    }

    @Test("in a state that cannot move is refused", arguments: TCPState.allCases.filter { !$0.isMovable })
    func state(_ state: TCPState) {
        #expect(throws: MigrationError(.malformed, "state")) { try decode(sample(.ipv4, state: state)) }
    }

    @Test("with a link-local address is refused")
    func linkLocal() throws {
        let local = Endpoint(try #require(IPAddress("fe80::1")), port: 1)
        let remote = Endpoint(try #require(IPAddress("2001:db8::1")), port: 2)
        let flow = try #require(Flow(local: local, remote: remote))
        #expect(throws: MigrationError(.malformed, "local")) { try decode(sample(flow, .established)) }
    }

    @Test("a flow has the addresses that are on the wire")
    func mapped() throws {
        let local = Endpoint(try #require(IPAddress("::ffff:192.0.2.100")), port: 4443)
        let remote = Endpoint(try #require(IPAddress("::ffff:192.0.2.1")), port: 50_000)
        #expect(Flow(local: local, remote: remote) == flow(.ipv4))
    }

    private func flow(_ family: IPAddress.Family) -> Flow {
        let (local, remote) = family == .ipv4 ? ("192.0.2.100", "192.0.2.1") : ("2001:db8::100", "2001:db8::1")
        return Flow(
            local: Endpoint(IPAddress(local)!, port: 4443),
            remote: Endpoint(IPAddress(remote)!, port: 50_000))!
    }

    private func sample(
        _ family: IPAddress.Family, state: TCPState = .established, companion: [UInt8]? = nil
    ) -> [UInt8] {
        sample(flow(family), state, companion)
    }

    private func sample(_ flow: Flow, _ state: TCPState, _ companion: [UInt8]? = nil) -> [UInt8] {
        var options = SocketOptions()
        options.values = [.noDelay: 1, .receiveBuffer: 131072, .priority: 0]
        options.congestionControl = "cubic"
        options.linger = 5
        options.isNonBlocking = true
        var frozen = FrozenSocket(
            flow: flow, state: state,
            negotiated: NegotiatedOptions(
                mss: 1460, usesSACK: true, usesTimestamps: true, sendScale: 7, receiveScale: 14),
            window: SocketWindow(
                lastUpdate: 1, send: 65535, largestSend: 65535, receive: 1000, lastAdvertised: 0xFFFF_FFF0),
            options: options, timestamp: 42, sendSequence: 0xFFFF_FFFE, sendQueue: queue([1, 2, 3, 4, 5]),
            unsentCount: 2, receiveSequence: 7, receiveQueue: queue([9, 8, 7]), socketFamily: flow.family,
            standstill: nil, companion: nil)
        if let companion { frozen.companion = SecretBytes(copying: companion.span.bytes) }
        return frozen.encoded().withUnsafeBytes { Array($0) }
    }

    private func queue(_ bytes: [UInt8]) -> ByteQueue {
        var queue = ByteQueue()
        queue.append(bytes)
        return queue
    }

    @discardableResult
    private func decode(_ bytes: [UInt8]) throws -> FrozenSocket {
        try FrozenSocket(decoding: bytes.span.bytes)
    }
}
