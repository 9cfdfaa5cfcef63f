internal import BatonCore
internal import CLinuxSockets
internal import Libc

/// A connected `SOCK_SEQPACKET` Unix socket whose other end has been checked. `OwnerChannel` and `ReceiverChannel` take
/// it and speak the protocol over it; which end connected does not matter.
public struct HandoffSocket: ~Copyable, Sendable {
    /// For poll(2) and the like. Do not read, write or close it.
    public let descriptor: Int32

    /// Who is at the other end.
    public let peer: PeerCredentials

    /// Whether receiving can wait by itself, which saves the calls of poll(2) around it. A socket that was made
    /// non-blocking cannot.
    private let mayWait: Bool

    /// The longest that receiving waits at a time, in milliseconds; then the time limits are looked at again.
    private static let longestWait: Int32 = 500

    private init(descriptor: Int32, peer: PeerCredentials) {
        self.descriptor = descriptor
        self.peer = peer
        mayWait = baton_limit_waiting(descriptor, HandoffSocket.longestWait) == 0
    }

    /// Whether waiting in `receive` ends well before `deadline`.
    func mayWait(until deadline: Deadline) -> Bool {
        mayWait && deadline.remainingMilliseconds > 2 * UInt64(HandoffSocket.longestWait)
    }

    deinit {
        Libc.close(descriptor)
    }

    /// Takes over a connected `SOCK_SEQPACKET` Unix socket, for instance one end of a socketpair(2). Sets its
    /// SO_RCVTIMEO. One that is non-blocking works as well, at the price of a poll(2) for every wait.
    ///
    /// - Parameters:
    ///   - descriptor: closed if this throws.
    ///   - users: who may be at the other end.
    public static func adopting(
        _ descriptor: Int32, trusting users: TrustedUsers = .sameUser
    ) throws(HandoffError) -> HandoffSocket {
        do throws(HandoffError) {
            let peer = try PeerCredentials(of: descriptor)
            try users.check(peer)
            return HandoffSocket(descriptor: descriptor, peer: peer)
        } catch {
            Libc.close(descriptor)
            throw error
        }
    }

    /// Connects to the process that listens at `path`.
    ///
    /// A path nobody listens at fails at once with `nobodyListening`. A listener that is busy is waited for until
    /// `deadline`, if its backlog is full; otherwise the connection stands and waits in it.
    public static func connect(
        to path: String, trusting users: TrustedUsers = .sameUser, deadline: Deadline
    ) throws(HandoffError) -> HandoffSocket {
        let limit = Int32(min(deadline.remainingMilliseconds, UInt64(Int32.max)))
        let result = baton_connect_seqpacket(path, limit)
        guard result >= 0 else {
            switch -result {
            case ECONNREFUSED, ENOENT:
                throw HandoffError(
                    .nobodyListening, "nobody listens at \(path); start the receiver first", systemError: -result)
            case ENAMETOOLONG: throw .pathTooLong(path)
            case EAGAIN:
                throw HandoffError(.timedOut, "the process that listens at \(path) did not answer in time")
            case EPROTOTYPE:
                throw HandoffError(
                    .protocolViolation,
                    "the socket at \(path) is not of type SOCK_SEQPACKET; it is not a handoff socket")
            default: throw .system("cannot connect to \(path)", result)
            }
        }
        return try adopting(result, trusting: users)
    }
}

extension HandoffError {
    static func pathTooLong(_ path: String) -> HandoffError {
        HandoffError(.pathTooLong, "the path \(path) is longer than 107 bytes; choose a shorter one")
    }
}
