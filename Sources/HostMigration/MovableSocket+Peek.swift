import BatonCore
import Libc

extension MovableSocket {
    /// Copies the receive queue, which must be selected. Nil if the kernel gave another number of bytes than it
    /// counted, because a packet came in between. `count` may include a FIN (kernels differ), which has no byte.
    func peekReceived(_ count: Int) throws(MigrationError) -> ByteQueue? {
        guard count > 0 else { return ByteQueue() }
        // SO_PEEK_OFF would make peeking start in the middle.
        var offset: Int32 = -1
        setsockopt(descriptor, SOL_SOCKET, SO_PEEK_OFF, &offset, socklen_t(MemoryLayout<Int32>.size))
        var queue = ByteQueue()
        let copied = try peek(count, into: &queue)
        guard copied == count || copied == count - 1 else { return nil }
        return queue
    }

    /// Copies the last `count` bytes of the send queue, which must be selected.
    ///
    /// The kernel hands out whole buffers from the first that is not entirely acknowledged, so what it gives can begin
    /// before the first unacknowledged byte, and it counts what it gives even where it does not fit.
    func peekWritten(_ count: Int) throws(MigrationError) -> ByteQueue? {
        guard count > 0 else { return ByteQueue() }
        var room = count
        while true {
            var queue = ByteQueue()
            let available = try peek(room, into: &queue)
            guard available >= count else { return nil }
            if available <= room {
                queue.consume(available - count)
                return queue
            }
            room = available
        }
    }

    /// Gives the queue up to `count` bytes, and returns how many the kernel says there are.
    private func peek(_ count: Int, into queue: inout ByteQueue) throws(MigrationError) -> Int {
        var available = 0
        try queue.append(minimum: count) { space throws(MigrationError) in
            available = recv(descriptor, space.baseAddress, count, Int32(MSG_PEEK | MSG_DONTWAIT))
            guard available >= 0 else {
                guard errno == EAGAIN else { throw .call("recv", errno) }
                available = 0
                return 0
            }
            return min(available, count)
        }
        return available
    }
}
