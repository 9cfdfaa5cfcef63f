internal import CSessionArena
internal import Libc

/// The memory in which a worker keeps its sessions, and which outlives it.
///
/// `CSessionArena/arena.h` says what lies where. This type maps it and hands out places in it; what is written there, and in
/// which order, is `SessionRecord`'s.
package struct Arena: ~Copyable, @unchecked Sendable {
    /// The layout that this program reads and writes.
    package static let version = UInt32(ARENA_VERSION)
    /// Bytes of one piece of memory for bytes on their way.
    package static let extentSize = Int(ARENA_EXTENT_SIZE)

    package let slotCount: Int
    package let extentCount: Int
    private let descriptor: CInt
    private let base: UnsafeMutableRawPointer
    private let size: Int
    /// Whether its memory is kept from being written to a disk (mlock2(2)).
    package let isLocked: Bool

    /// Makes the memory of a new arena.
    ///
    /// - Parameters:
    ///   - slotCount: the most sessions.
    ///   - extentCount: the most pieces of 64 KiB for bytes on their way; at least 8.
    /// - Returns: its descriptor, the caller's. Pages are taken when they are written to.
    package static func make(slotCount: Int, extentCount: Int) throws(ArenaError) -> CInt {
        let descriptor = arena_memory(UInt64(size(slotCount, extentCount)))
        guard descriptor >= 0 else { throw .noMemory(-descriptor) }
        var header = arena_header()
        header.magic = ARENA_MAGIC
        header.version = UInt32(ARENA_VERSION)
        header.slot_count = UInt32(slotCount)
        header.extent_count = UInt32(extentCount)
        let written = withUnsafeBytes(of: header) { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
        guard written == MemoryLayout<arena_header>.size else {
            close(descriptor)
            throw .noMemory(ENOSPC)
        }
        return descriptor
    }

    /// Who has the arena of `descriptor`; 0: nobody.
    package static func owner(of descriptor: CInt) -> UInt64 {
        var header = arena_header()
        let count = withUnsafeMutableBytes(of: &header) { pread(descriptor, $0.baseAddress, $0.count, 0) }
        return count == MemoryLayout<arena_header>.size ? header.owner : 0
    }

    /// Maps the arena of `descriptor`, which stays the caller's. Its header is checked against the memory's size.
    package init(mapping descriptor: CInt) throws(ArenaError) {
        var header = arena_header()
        let count = withUnsafeMutableBytes(of: &header) { pread(descriptor, $0.baseAddress, $0.count, 0) }
        guard count == MemoryLayout<arena_header>.size, header.magic == ARENA_MAGIC else { throw .notAnArena }
        guard header.version == ARENA_VERSION else { throw .otherVersion(header.version) }
        var status = stat()
        let size = Arena.size(Int(header.slot_count), Int(header.extent_count))
        guard fstat(descriptor, &status) == 0, status.st_size == size else { throw .notAnArena }
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else { throw .noMemory(errno) }
        let mapped = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, 0)
        guard let mapped, mapped != MAP_FAILED else {
            let code = errno
            close(copy)
            throw .noMemory(code)
        }
        madvise(mapped, size, MADV_DONTDUMP)
        // Keys and plaintext are not to come to a disk. What nobody has written takes no memory for that.
        isLocked = arena_lock(mapped, UInt64(size)) != 0
        // The kernel stores in the header while it works for an owner that may be dying: nothing may be in its way then.
        mlock(mapped, Int(ARENA_HEADER_SIZE))
        base = mapped
        self.size = size
        slotCount = Int(header.slot_count)
        extentCount = Int(header.extent_count)
        self.descriptor = copy
    }

    /// Slots from here on have never been written. To read one takes memory for it.
    func usedSlotCount() -> Int {
        let end = Arena.extents(slotCount)
        let written = Arena.endOfData(descriptor, before: end) - Int(ARENA_HEADER_SIZE)
        return min(slotCount, max(0, written + Int(ARENA_SLOT_SIZE) - 1) / Int(ARENA_SLOT_SIZE))
    }

    /// Where the last written page before `end` ends.
    private static func endOfData(_ descriptor: CInt, before end: Int) -> Int {
        let (data, hole) = (CInt(3), CInt(4))  // SEEK_DATA, SEEK_HOLE
        var found = 0
        while true {
            let first = lseek(descriptor, found, data)
            guard first >= 0, first < end else { return found }
            let next = lseek(descriptor, first, hole)
            guard next > first else { return end }
            found = min(end, next)
            if found == end { return end }
        }
    }

    deinit {
        munmap(base, size)
        close(descriptor)
    }

    var header: UnsafeMutablePointer<arena_header> { base.assumingMemoryBound(to: arena_header.self) }

    func slot(_ index: Int) -> UnsafeMutablePointer<arena_slot> {
        precondition(index >= 0 && index < slotCount)
        return (base + Int(ARENA_HEADER_SIZE) + index * Int(ARENA_SLOT_SIZE)).assumingMemoryBound(to: arena_slot.self)
    }

    func extent(_ index: UInt32) -> UnsafeMutableRawPointer {
        precondition(index < UInt32(extentCount))
        return base + Arena.extents(slotCount) + Int(index) * Int(ARENA_EXTENT_SIZE)
    }

    /// Gives the memory of extents back to the system; what was in them is gone.
    func discard(_ extents: Range<UInt32>) {
        guard let first = extents.first else { return }
        let start = Arena.extents(slotCount) + Int(first) * Int(ARENA_EXTENT_SIZE)
        arena_discard(descriptor, UInt64(start), UInt64(extents.count * Int(ARENA_EXTENT_SIZE)))
    }

    /// Makes `owner` the one who may write, if `former` is.
    func pass(from former: UInt64, to owner: UInt64) -> Bool { arena_take(header, former, owner) != 0 }

    private static func size(_ slotCount: Int, _ extentCount: Int) -> Int {
        extents(slotCount) + extentCount * Int(ARENA_EXTENT_SIZE)
    }

    /// Where the extents begin: on a page.
    private static func extents(_ slotCount: Int) -> Int {
        let end = Int(ARENA_HEADER_SIZE) + slotCount * Int(ARENA_SLOT_SIZE)
        return (end + 4095) / 4096 * 4096
    }
}

/// Why an arena cannot be used.
package enum ArenaError: Error, Equatable {
    /// The kernel gives no memory; the code is from errno(3).
    case noMemory(CInt)
    /// The memory holds no arena, or one whose header contradicts its size.
    case notAnArena
    /// Another owner has it than the one who was said to have ended.
    case otherOwner(UInt64)
    /// The arena has a layout that this program does not know.
    case otherVersion(UInt32)
}

extension ArenaError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .noMemory(let code): "there is no memory for an arena: \(String(cString: strerror(code)))"
        case .notAnArena: "the memory holds no arena"
        case .otherOwner(let owner): "the arena belongs to owner \(owner), which nobody has said to have ended"
        case .otherVersion(let version):
            "the arena has layout version \(version), and this program reads \(Arena.version)"
        }
    }
}
