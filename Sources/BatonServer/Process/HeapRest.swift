internal import NIOCore
internal import SessionEngine

/// Gives freed memory back to the system when a process has come to rest: what a thousand handshakes at once have needed, the
/// allocator would keep for ever. Used on `loop`.
final class HeapRest {
    private static let delay = TimeAmount.seconds(2)

    private let loop: any EventLoop
    private var isDue = false

    init(on loop: any EventLoop) { self.loop = loop }

    /// There is less to do from here on than there was.
    func restSoon() {
        guard !isDue else { return }
        isDue = true
        let rest = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(in: Self.delay) {
            rest.value.isDue = false
            Heap.trim()
        }
    }
}
