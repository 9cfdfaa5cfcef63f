internal import CLinuxSockets
internal import Libc

/// The process at the other end of a socket, by a pidfd: it can be seen to be dead, and its number cannot be taken for
/// another process's.
struct PeerProcess: ~Copyable, Sendable {
    /// Readable once the process has terminated; -1 if the kernel gave none, and then nothing is proved.
    let descriptor: Int32

    /// A peer that is dead already proves nothing: whoever sends is another process, and may by now have its number.
    init(of socket: borrowing HandoffSocket) {
        let pidfd = baton_peer_pidfd(socket.descriptor, socket.peer.processID)
        guard pidfd >= 0, baton_has_terminated(pidfd) == 0 else {
            if pidfd >= 0 { Libc.close(pidfd) }
            descriptor = -1
            return
        }
        descriptor = pidfd
    }

    deinit {
        if descriptor >= 0 { Libc.close(descriptor) }
    }

    var hasTerminated: Bool { descriptor >= 0 && baton_has_terminated(descriptor) == 1 }
}
