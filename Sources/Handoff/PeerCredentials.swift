internal import CLinuxSockets

/// The process at the other end of a handoff socket, as the kernel attests it (SO_PEERCRED): the one that connected,
/// or the one that called listen(2).
public struct PeerCredentials: Sendable, Hashable {
    /// Its process id; 0 if it is not visible from this process's pid namespace.
    public let processID: Int32
    /// Its effective user id.
    public let userID: UInt32
    /// Its effective group id.
    public let groupID: UInt32

    init(of descriptor: Int32) throws(HandoffError) {
        var credentials = baton_credentials()
        let result = baton_peer_credentials(descriptor, &credentials)
        guard result == 0 else { throw .system("cannot learn who is at the other end", result) }
        processID = credentials.pid
        userID = credentials.uid
        groupID = credentials.gid
    }
}
