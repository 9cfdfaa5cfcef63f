internal import BatonCore
internal import CSessionArena
internal import Glibc
internal import TLSRecords

/// What stays as it is while a session lives: for each leg that is TLS, a snapshot without traffic secrets.
struct SessionFacts {
    private let client: UnsafeRawBufferPointer
    private let upstream: UnsafeRawBufferPointer

    /// Reads a slot's facts: two lengths of two bytes, and what they are the lengths of.
    init(_ slot: UnsafeMutablePointer<arena_slot>) throws(AdoptionError) {
        let count = Int(slot.pointee.facts_count)
        guard count >= 4, count <= Int(ARENA_FACTS_MAX) else { throw .impossible }
        let bytes = UnsafeRawBufferPointer(start: arena_facts(slot), count: count)
        let first = Int(bytes.loadUnaligned(as: UInt16.self))
        let second = Int(bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        guard 4 + first + second == count else { throw .impossible }
        client = UnsafeRawBufferPointer(rebasing: bytes[4..<4 + first])
        upstream = UnsafeRawBufferPointer(rebasing: bytes[(4 + first)...])
    }

    func of(_ leg: LegIndex) -> UnsafeRawBufferPointer { leg == .client ? client : upstream }

    /// Writes the facts of a new session. Returns `false` if there is no room for them.
    static func write(
        _ slot: UnsafeMutablePointer<arena_slot>, client: borrowing SecretBytes?, upstream: borrowing SecretBytes?
    ) -> Bool {
        let output = UnsafeMutableRawBufferPointer(start: arena_facts(slot), count: Int(ARENA_FACTS_MAX))
        let first = count(client)
        let second = count(upstream)
        guard 4 + first + second <= output.count else { return false }
        output.storeBytes(of: UInt16(first), as: UInt16.self)
        output.storeBytes(of: UInt16(second), toByteOffset: 2, as: UInt16.self)
        copy(client, to: output.baseAddress! + 4)
        copy(upstream, to: output.baseAddress! + 4 + first)
        slot.pointee.facts_count = UInt32(4 + first + second)
        return true
    }

    private static func count(_ secret: borrowing SecretBytes?) -> Int {
        switch secret {
        case .none: 0
        case .some(let bytes): bytes.count
        }
    }

    private static func copy(_ secret: borrowing SecretBytes?, to output: UnsafeMutableRawPointer) {
        switch secret {
        case .none: break
        case .some(let bytes): bytes.withUnsafeBytes { output.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        }
    }
}
