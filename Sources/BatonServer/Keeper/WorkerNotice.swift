internal import CLinuxSockets
internal import Libc

/// What the keeper says to a worker, each one message of the SOCK_SEQPACKET socket that is the worker's descriptor 3.
enum WorkerNotice: UInt8 {
    /// With a control link to another front: the one before is gone.
    case link = 1
    /// No other front comes: the worker's connections end in order. The second time they end at once.
    case stop = 2

    var encoded: [UInt8] { [rawValue] }

    init?(_ bytes: [UInt8]) {
        guard bytes.count == 1, let notice = WorkerNotice(rawValue: bytes[0]) else { return nil }
        self = notice
    }
}

/// A worker's link to the keeper.
enum WorkerKeeperLink {
    private static let descriptor: CInt = 3

    /// How long the keeper may take nothing, milliseconds. It waits for nobody; what is longer is that it is stopped.
    private static let patience: CInt = 5_000

    /// What is to outlive this process. It returns when the keeper has it, whatever becomes of this process.
    ///
    /// - Parameter descriptors: stay the caller's.
    /// - Returns: whether that could be said.
    @discardableResult
    static func say(_ message: EstateMessage, _ descriptors: [CInt] = []) -> Bool {
        let bytes = message.encoded
        while true {
            let result = bytes.withUnsafeBytes {
                baton_send_message(
                    descriptor, $0.baseAddress, $0.count, nil, 0, descriptors, CInt(descriptors.count))
            }
            if result == 0 { return true }
            guard result == -EAGAIN || result == -ETOOMANYREFS else { return false }
            var polled = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            guard poll(&polled, 1, patience) > 0 else { return false }
            // Too many descriptors under way are no matter of room.
            if result == -ETOOMANYREFS { sched_yield() }
        }
    }

    /// Whether the keeper lives, as far as is known.
    static var isThere: Bool {
        var polled = pollfd(fd: descriptor, events: 0, revents: 0)
        return poll(&polled, 1, 0) == 0
    }

    /// Hears the keeper, on a thread of its own.
    ///
    /// - Parameters:
    ///   - linked: called with a control link to another front, which is the receiver's.
    ///   - stopped: called when there is no front and none will come.
    ///   - left: called with what a worker has left that has died, descriptors are the receiver's. None come where this process
    ///     has no room for all.
    ///   - ended: called once, when the keeper is gone, or if there is none.
    static func listen(
        linked: @escaping @Sendable (CInt) -> Void, stopped: @escaping @Sendable () -> Void,
        left: @escaping @Sendable (EstateMessage, [CInt]) -> Void,
        ended: @escaping @Sendable () -> Void
    ) {
        var kind: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &kind, &length) == 0,
            kind == SocketKind.sequencedPackets, fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0
        else { return ended() }
        startThread("baton-keeper") {
            while true {
                let received = KeeperChannel.receive(from: descriptor, waits: true)
                if case .shortage(let bytes) = received {
                    if let word = EstateMessage(lacking: bytes) { left(word, []) }
                    continue
                }
                guard case .message(let message) = received else { break }
                if let word = EstateMessage(message.bytes, descriptors: message.descriptors.count) {
                    left(word, message.descriptors)
                    continue
                }
                switch (WorkerNotice(message.bytes), message.onlyDescriptor()) {
                case (.link, let attached?): linked(attached)
                case (.stop, nil): stopped()
                case (_, let attached?): close(attached)
                case (_, nil): break
                }
            }
            ended()
        }
    }
}
