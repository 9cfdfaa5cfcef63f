internal import BatonCore
internal import NIOCore
internal import TLSRecords

/// What was handed to the channel and not yet confirmed as written. The channel tells only of buffers written in whole;
/// with the kernel's own count the part of the first buffer that it has taken is known too, so the connection can be left
/// at any byte.
///
/// Buffers are shared with the channel, not copied.
struct UnconfirmedWrites {
    private var buffers = CircularBuffer<ByteBuffer>()

    /// Bytes handed over since the beginning.
    private(set) var handed: UInt64 = 0

    /// Bytes in the buffers not yet confirmed.
    private(set) var count = 0

    /// Bytes known to be written.
    var confirmed: UInt64 { handed - UInt64(count) }

    mutating func append(_ buffer: ByteBuffer) {
        buffers.append(buffer)
        handed += UInt64(buffer.readableBytes)
        count += buffer.readableBytes
    }

    /// The oldest buffer has been written as a whole.
    mutating func confirmFirst() {
        guard let first = buffers.popFirst() else { return }
        count -= first.readableBytes
    }

    /// Takes the bytes out that the kernel has not taken, `taken` bytes having been since the beginning.
    ///
    /// - Returns: `nil` if `taken` is impossible.
    mutating func takeTail(taken: UInt64) -> ByteQueue? {
        guard taken >= confirmed, taken <= handed else { return nil }
        var skipped = Int(taken - confirmed)
        var tail = ByteQueue()
        for buffer in buffers {
            let skip = min(skipped, buffer.readableBytes)
            skipped -= skip
            buffer.withUnsafeReadableBytes { tail.append(UnsafeRawBufferPointer(rebasing: $0[skip...])) }
        }
        buffers = CircularBuffer()
        count = 0
        return tail
    }
}
