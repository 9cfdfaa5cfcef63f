internal import Libc

/// Descriptors this process owns: they are closed when the set goes, and only closed. Another process may hold the
/// same open file, and shutdown(2) or O_NONBLOCK would act on it there too.
public struct DescriptorSet: ~Copyable, Sendable {
    private struct Entry {
        var descriptor: Int32
        var writePosition: UInt64?
    }

    private var entries: ArraySlice<Entry> = []

    /// An empty set.
    public init() {}

    /// A set of one.
    public init(owning descriptor: Int32) {
        append(owning: descriptor)
    }

    deinit {
        for entry in entries where entry.descriptor >= 0 { Libc.close(entry.descriptor) }
    }

    /// How many there are.
    public var count: Int { entries.count }

    /// Whether there are none.
    public var isEmpty: Bool { entries.isEmpty }

    /// Takes ownership of `descriptor`.
    public mutating func append(owning descriptor: Int32, writePosition: UInt64? = nil) {
        entries.append(Entry(descriptor: descriptor, writePosition: writePosition))
    }

    /// The descriptor at `index`, which the set keeps.
    public subscript(index: Int) -> Int32 { entries[entries.startIndex + index].descriptor }

    /// How many bytes the kernel had taken from writers of the socket at `index` when it was offered; `nil` if that is
    /// not known, and then a receiver cannot prove that a dead owner wrote nothing since.
    public func writePosition(at index: Int) -> UInt64? {
        entries[entries.startIndex + index].writePosition
    }

    /// Sets what `writePosition(at:)` returns.
    public mutating func setWritePosition(_ position: UInt64?, at index: Int) {
        entries[entries.startIndex + index].writePosition = position
    }

    /// Gives all descriptors to the caller, in order.
    public mutating func takeAll() -> [Int32] {
        defer { entries = [] }
        return entries.map(\.descriptor)
    }

    /// Moves the first `n` to a set of their own; fewer if there are not so many.
    mutating func takeFirst(_ n: Int) -> DescriptorSet {
        var taken = DescriptorSet()
        let n = min(n, entries.count)
        if n == entries.count {
            swap(&taken.entries, &entries)
        } else {
            taken.entries = ArraySlice(Array(entries.prefix(n)))
            entries.removeFirst(n)
        }
        return taken
    }

    /// Moves all of `other` behind what is here.
    mutating func append(_ other: consuming DescriptorSet) {
        if entries.isEmpty {
            swap(&entries, &other.entries)
        } else {
            entries.append(contentsOf: other.entries)
            other.entries = []
        }
    }
}
