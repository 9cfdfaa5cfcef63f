internal import Libc

/// A first-in first-out run of bytes in one allocation that is kept between uses, so a busy connection does not
/// allocate per record, and zeroed before it is given back, because plaintext passes through it.
///
/// What the record layer calls for each record is inlined there.
package struct ByteQueue: ~Copyable, @unchecked Sendable {
    @usableFromInline var base: UnsafeMutableRawPointer?
    @usableFromInline var head = 0
    @usableFromInline var tail = 0

    /// Bytes allocated.
    @usableFromInline package private(set) var capacity = 0

    package init() {}

    package init(copying bytes: UnsafeRawBufferPointer) {
        append(bytes)
    }

    deinit {
        if let base { ByteQueue.free(base, capacity) }
    }

    /// Bytes that wait.
    @inlinable package var count: Int { tail - head }
    @inlinable package var isEmpty: Bool { head == tail }

    /// Makes room for `minimum` more bytes and lets `fill` write some of them; `fill` returns how many it wrote.
    @inlinable
    @discardableResult
    package mutating func append<E: Error>(
        minimum: Int, _ fill: (UnsafeMutableRawBufferPointer) throws(E) -> Int
    ) throws(E) -> Int {
        reserve(minimum)
        let space = UnsafeMutableRawBufferPointer(start: base.map { $0 + tail }, count: capacity - tail)
        let written = try fill(space)
        precondition(written <= space.count)
        tail += max(0, written)
        return written
    }

    @inlinable
    package mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard !bytes.isEmpty else { return }
        append(minimum: bytes.count) { space in
            space.copyMemory(from: bytes)
            return bytes.count
        }
    }

    /// Lends the waiting bytes.
    @inlinable
    package borrowing func withBytes<R: ~Copyable, E: Error>(
        _ body: (UnsafeRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        try body(UnsafeRawBufferPointer(start: base.map { $0 + head }, count: count))
    }

    /// Lends the waiting bytes to be changed in place.
    @inlinable
    package mutating func withMutableBytes<R: ~Copyable, E: Error>(
        _ body: (UnsafeMutableRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        try body(UnsafeMutableRawBufferPointer(start: base.map { $0 + head }, count: count))
    }

    /// Drops the first `n` bytes.
    @inlinable
    package mutating func consume(_ n: Int) {
        precondition(n >= 0 && n <= count)
        head += n
        if head == tail {
            head = 0
            tail = 0
        }
    }

    package mutating func removeAll() {
        consume(count)
    }

    /// Gives the memory back if nothing waits.
    package mutating func releaseIfEmpty() {
        guard isEmpty, let base else { return }
        ByteQueue.free(base, capacity)
        self.base = nil
        capacity = 0
        head = 0
        tail = 0
    }

    @usableFromInline mutating func reserve(_ n: Int) {
        guard capacity - tail < n || base == nil else { return }
        let waiting = count
        // Sliding down costs `waiting` bytes; doing it only when as much has been consumed keeps it constant per byte.
        if let base, head >= waiting, capacity - waiting >= n {
            base.copyMemory(from: base + head, byteCount: waiting)
        } else {
            let size = max(waiting + n, capacity * 2, 512)
            let grown = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
            if let base {
                grown.copyMemory(from: base + head, byteCount: waiting)
                ByteQueue.free(base, capacity)
            }
            base = grown
            capacity = size
        }
        head = 0
        tail = waiting
    }

    private static func free(_ base: UnsafeMutableRawPointer, _ capacity: Int) {
        explicit_bzero(base, capacity)
        base.deallocate()
    }
}
