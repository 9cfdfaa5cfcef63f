internal import CSessionArena

/// Which extents of an arena are free.
///
/// It is no part of the arena: an extent is in use when the state of a live session names it, so a new owner finds out by
/// looking. The extent that was given back last is given out first, because its memory is warm; the memory of more than a
/// few goes back to the system.
struct ExtentPool: ~Copyable {
    private var warm: [UInt32] = []
    private var cold: [UInt32] = []
    private var next: UInt32 = 0
    private let count: UInt32
    /// Grows whenever an extent comes back.
    private(set) var returns: UInt64 = 0
    private var hasRefused = false

    /// How many of the warm ones, those given back first, have not been taken since `cool` was called.
    private var unusedCount = 0

    private static let maxWarm = 64

    /// - Parameter used: the extents that live sessions name.
    init(_ arena: borrowing Arena, used: Set<UInt32> = []) {
        count = UInt32(arena.extentCount)
        for extent in used.sorted() {
            arena.discard(next..<extent)
            cold += next..<extent
            next = extent + 1
        }
        arena.discard(next..<count)
    }

    var available: Int { warm.count + cold.count + Int(count - next) }

    /// What is kept for output, so that sessions whose input has all the rest can still go on.
    var reserve: Int { max(4, Int(count) / 8) }

    /// An extent, or `nil` if no more than `reserve` would be left.
    mutating func take(keeping reserve: Int = 0) -> UInt32? {
        guard available > reserve else {
            refuse()
            return nil
        }
        if let extent = warm.popLast() {
            unusedCount = min(unusedCount, warm.count)
            return extent
        }
        if let extent = cold.popLast() { return extent }
        next += 1
        return next - 1
    }

    /// Gives an extent back that no published state names any more.
    mutating func giveBack(_ extent: UInt32, to arena: borrowing Arena) {
        guard extent != ARENA_NO_EXTENT else { return }
        returns += 1
        if warm.count < ExtentPool.maxWarm {
            warm.append(extent)
        } else {
            arena.discard(extent..<extent + 1)
            cold.append(extent)
        }
    }

    /// Whether free extents hold memory.
    var isWarm: Bool { !warm.isEmpty }

    /// Gives the memory back of the free extents that have not been used since this was called last.
    mutating func cool(_ arena: borrowing Arena) {
        for extent in warm.prefix(unusedCount) { arena.discard(extent..<extent + 1) }
        cold += warm.prefix(unusedCount)
        warm.removeFirst(unusedCount)
        unusedCount = warm.count
    }

    /// Notes that somebody has to wait.
    mutating func refuse() { hasRefused = true }

    /// Whether somebody had to wait since this was asked last.
    mutating func takeRefusal() -> Bool {
        defer { hasRefused = false }
        return hasRefused
    }
}
