internal import Libc

/// Which users' processes may take part in a handoff.
///
/// A listener's directory has mode 0700, so by a path only its owner and root can reach a listener. Processes of two other
/// users hand over through a socketpair(2) that a parent made (`HandoffSocket.adopting`), or root takes one of the ends.
public struct TrustedUsers: Sendable, Hashable {
    /// User ids beside root and this process's own.
    public let others: Set<UInt32>

    /// Root, this process's own user, and `others`.
    public init(others: Set<UInt32> = []) {
        self.others = others
    }

    /// Root and this process's own user.
    public static let sameUser = TrustedUsers()

    func contain(_ user: UInt32) -> Bool {
        user == 0 || user == geteuid() || others.contains(user)
    }

    func check(_ peer: PeerCredentials) throws(HandoffError) {
        guard contain(peer.userID) else {
            throw HandoffError(
                .peerNotAllowed,
                "the process at the other end (pid \(peer.processID)) runs as user \(peer.userID); "
                    + "run it as user \(geteuid()) or list its user as trusted")
        }
    }
}
