import Glibc
import TLSRecords

extension MovableSocket {
    /// Copies the receive queue, which must be selected. Nil if the kernel gave another number of bytes than it
    /// counted, because a packet came in between. `count` may include a FIN (kernels differ), which has no byte.
    func peekReceived(_ count: Int) throws(MigrationError) -> SecretBytes? {
        guard count > 0 else { return SecretBytes(count: 0) { _ in } }
        // SO_PEEK_OFF would make peeking start in the middle.
        var offset: Int32 = -1
        setsockopt(descriptor, SOL_SOCKET, SO_PEEK_OFF, &offset, socklen_t(MemoryLayout<Int32>.size))
        var copied = 0
        let bytes = try peek(count, &copied)
        switch copied {
        case count: return bytes
        case count - 1: return bytes.suffix(copied, endingAt: copied)
        default: return nil
        }
    }

    /// Copies the last `count` bytes of the send queue, which must be selected.
    ///
    /// The kernel hands out whole buffers from the first that is not entirely acknowledged, so what it gives can begin
    /// before the first unacknowledged byte, and it counts what it gives even where it does not fit.
    func peekWritten(_ count: Int) throws(MigrationError) -> SecretBytes? {
        guard count > 0 else { return SecretBytes(count: 0) { _ in } }
        var room = count
        var available = 0
        while true {
            let bytes = try peek(room, &available)
            guard available >= count else { return nil }
            if available <= room {
                return available == count && room == count ? bytes : bytes.suffix(count, endingAt: available)
            }
            room = available
        }
    }

    /// Room for `count` bytes, filled from the queue; `available` is what the kernel says it gave.
    private func peek(_ count: Int, _ available: inout Int) throws(MigrationError) -> SecretBytes {
        var copied = 0
        var failure: Int32 = 0
        let bytes = SecretBytes(count: count) { target in
            copied = recv(descriptor, target.baseAddress, count, Int32(MSG_PEEK | MSG_DONTWAIT))
            failure = errno
        }
        guard copied >= 0 else {
            guard failure == EAGAIN else { throw .call("recv", failure) }
            available = 0
            return bytes
        }
        available = copied
        return bytes
    }
}

extension SecretBytes {
    borrowing func suffix(_ count: Int, endingAt end: Int) -> SecretBytes {
        withUnsafeBytes { SecretBytes(copying: UnsafeRawBufferPointer(rebasing: $0[(end - count)..<end]).bytes) }
    }
}
