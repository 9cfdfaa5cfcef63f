public import BatonCore
internal import CLinuxSockets
internal import Libc

/// Listens at a path for the other end of handoff channels.
///
/// The path lies in a directory of mode 0700, which is made if it is missing. Beside the socket lies a lock file
/// (`SocketLock`), which stays when the listener goes: a path whose listener was killed is taken over at once, and one whose
/// listener lives never is.
public struct HandoffListener: ~Copyable, Sendable {
    /// For poll(2) and the like: readable when somebody connects. Do not read, write or close it.
    public let descriptor: Int32

    /// Where it listens.
    public let path: String

    private let lock: SocketLock
    private let users: TrustedUsers
    private let node: FileNode

    /// Listens at `path`.
    ///
    /// - Parameters:
    ///   - path: at most 107 bytes.
    ///   - users: who may connect.
    ///   - backlog: how many connections wait for `accept`.
    /// - Throws: `pathInUse` if a process listens there, `foreignFile`, `unsafeDirectory`, `pathTooLong`, or `system`.
    public init(
        at path: String, trusting users: TrustedUsers = .sameUser, backlog: Int32 = 128
    ) throws(HandoffError) {
        guard (1...107).contains(path.utf8.count) else { throw .pathTooLong(path) }
        try SocketDirectory.check(of: path, trusting: users)
        let lock = try SocketLock(beside: path)
        try lock.removeStaleSocket()
        let descriptor = baton_listen_seqpacket(path, backlog)
        guard descriptor >= 0 else { throw .system("cannot listen at \(path)", descriptor) }
        // The directory keeps others out; root may have made the socket for the directory's owner.
        chmod(path, 0o666)
        self.descriptor = descriptor
        self.lock = lock
        node = FileNode(at: path) ?? FileNode()
        self.path = path
        self.users = users
    }

    deinit {
        // Only what was made here: somebody may have removed it and put another in its place.
        if FileNode(at: path) == node { unlink(path) }
        Libc.close(descriptor)
    }

    /// Waits for somebody to connect, at most until `deadline`; `nil` when the time was over.
    ///
    /// - Throws: `peerNotAllowed` if a process of another user connected; it has been disconnected, and the listener
    ///   goes on.
    public borrowing func accept(deadline: Deadline) throws(HandoffError) -> HandoffSocket? {
        while true {
            guard try wait(for: Int16(POLLIN), on: descriptor, until: deadline) else { return nil }
            if let socket = try acceptWaiting() { return socket }
        }
    }

    /// Takes somebody who has connected; `nil` if there is nobody. For event loops.
    public borrowing func acceptWaiting() throws(HandoffError) -> HandoffSocket? {
        let result = baton_accept(descriptor)
        if result >= 0 { return try .adopting(result, trusting: users) }
        guard result == -EAGAIN else { throw .system("cannot accept at \(path)", result) }
        return nil
    }
}
