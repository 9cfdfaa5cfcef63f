internal import CLinuxSockets
internal import Glibc

/// What the keeper says to a worker, each one message of the SOCK_SEQPACKET socket that is the worker's descriptor 3.
enum WorkerNotice: UInt8 {
    /// With a control link to another front: the one before is gone.
    case link = 1

    var encoded: [UInt8] { [rawValue] }

    init?(_ bytes: [UInt8]) {
        guard bytes.count == 1, let notice = WorkerNotice(rawValue: bytes[0]) else { return nil }
        self = notice
    }
}

/// A worker's link to the keeper.
enum WorkerKeeperLink {
    private static let descriptor: CInt = 3

    /// Hears the keeper, on a thread of its own.
    ///
    /// - Parameters:
    ///   - linked: called with a control link to another front, which is the receiver's.
    ///   - ended: called once, when the keeper is gone, or if there is none.
    static func listen(linked: @escaping @Sendable (CInt) -> Void, ended: @escaping @Sendable () -> Void) {
        var kind: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &kind, &length) == 0,
            kind == CInt(SOCK_SEQPACKET.rawValue), fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0
        else { return ended() }
        startThread("baton-keeper") {
            while case .message(let message) = KeeperChannel.receive(from: descriptor, waits: true) {
                guard let attached = message.onlyDescriptor() else { continue }
                switch WorkerNotice(message.bytes) {
                case .link: linked(attached)
                case nil: close(attached)
                }
            }
            ended()
        }
    }
}
