internal import Glibc
internal import SessionEngine

/// An arena as bytes, written by the offsets that `docs/arena.md` tells and by nothing of the engine.
package struct ArenaImage: Sendable {
    package let slotCount: Int
    package let extentCount: Int
    /// The header and the slots.
    private var front: [UInt8]
    /// What is written of each extent, from its first byte.
    private var extents: [Int: [UInt8]] = [:]

    private static let headerSize = 4096
    package static let slotSize = 2048
    private static let extentSize = 65_536
    package static let none = UInt32.max

    package init(version: UInt32, slotCount: Int, extentCount: Int, owner: UInt64) {
        self.slotCount = slotCount
        self.extentCount = extentCount
        front = Array(repeating: 0, count: ArenaImage.headerSize + slotCount * ArenaImage.slotSize)
        store(Array("BTNARENA".utf8), at: 0)
        store(version, at: 8)
        store(UInt32(slotCount), at: 12)
        store(UInt32(extentCount), at: 16)
        store(owner, at: 24)
    }

    // MARK: Places

    package static func slot(_ index: Int) -> Int { headerSize + index * slotSize }

    /// - Parameters:
    ///   - number: which of the two states.
    ///   - leg: 0: the client's, 1: the upstream's.
    package static func leg(slot index: Int, state number: Int, _ leg: Int) -> Int {
        slot(index) + 120 + number * 440 + leg * 208
    }

    package static func facts(slot index: Int) -> Int { slot(index) + 1000 }

    /// Where an extent is, in the memory that this becomes.
    package func extent(_ index: Int) -> Int { (front.count + 4095) / 4096 * 4096 + index * ArenaImage.extentSize }

    // MARK: Writing

    package mutating func store(_ value: some FixedWidthInteger, at offset: Int) {
        store(withUnsafeBytes(of: value) { Array($0) }, at: offset)
    }

    package mutating func store(_ bytes: [UInt8], at offset: Int) {
        front.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    }

    package mutating func store(_ bytes: [UInt8], inExtent index: Int) { extents[index] = bytes }

    /// What identifies all that is written here: FNV-1a, 64 bits.
    package var digest: UInt64 {
        var digest: UInt64 = 0xCBF2_9CE4_8422_2325
        let parts = [front] + extents.sorted { $0.key < $1.key }.map { [UInt8(truncatingIfNeeded: $0.key)] + $0.value }
        for byte in parts.joined() { digest = (digest ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return digest
    }

    /// The memory of such an arena.
    ///
    /// - Returns: its descriptor, the caller's.
    package func memory() throws -> CInt {
        let memory = try Arena.make(slotCount: slotCount, extentCount: extentCount)
        pwrite(memory, front, front.count, 0)
        for (index, bytes) in extents { pwrite(memory, bytes, bytes.count, off_t(extent(index))) }
        return memory
    }
}
