/// Why a connection did not move. Wherever one is thrown before the commit, the connection goes on where it is.
public struct MigrationError: Error, Sendable, Equatable {
    /// What went wrong; stable across releases, also on the wire.
    public enum Code: UInt8, Sendable, CaseIterable {
        // What cannot move.
        case notTCP = 1
        case multipath = 2
        case upperLayerProtocol = 3
        case md5Signatures = 4
        case authenticationOption = 5
        case urgentData = 6
        case unmovableState = 7
        case boundToDevice = 8
        case scopedAddress = 9
        case unsettled = 10
        case partnerStayed = 11
        // What the receiving host lacks.
        case addressNotLocal = 20
        case addressInUse = 21
        case timestampsOff = 22
        case outOfRoom = 23
        case restoredDifferently = 24
        case addressNotPermitted = 25
        case full = 26
        case unreadableCompanion = 27
        // What arrived is not what this version writes.
        case malformed = 30
        case unsupportedVersion = 31
        case protocolViolation = 32
        case unverified = 33
        // The link, the rules, the kernel.
        case linkEnded = 40
        case timedOut = 41
        case declined = 42
        case changedAfterFreezing = 43
        case steeringRules = 44
        case deviceBusy = 45
        case notPermitted = 46
        case systemCall = 47
        case hookFailed = 48
        case hostBusy = 49
        case cancelled = 50
    }

    /// What went wrong.
    public let code: Code

    /// What to add to the code's own explanation: the call that failed, the field that is wrong. Holds no payload.
    public let detail: String

    /// The error number of the failed call, 0 if none is behind this.
    public let errno: Int32

    /// An error; `detail` must hold no payload.
    public init(_ code: Code, _ detail: String = "", errno: Int32 = 0) {
        self.code = code
        self.detail = detail
        self.errno = errno
    }
}

extension MigrationError: CustomStringConvertible {
    /// One line that says what to do.
    public var description: String {
        detail.isEmpty ? code.explanation : "\(code.explanation) (\(detail))"
    }
}

extension MigrationError.Code {
    /// One sentence: what is wrong and what to do about it.
    public var explanation: String {
        switch self {
        case .notTCP: "only TCP sockets move; leave this one to its owner"
        case .multipath: "an MPTCP connection cannot move; listen with plain TCP to move its connections"
        case .upperLayerProtocol: "a connection with kernel TLS or another upper layer protocol cannot move"
        case .md5Signatures: "a connection signed with TCP MD5 cannot move"
        case .authenticationOption: "a connection under the TCP Authentication Option cannot move"
        case .urgentData: "urgent data is waiting; move the connection after it has been read"
        case .unmovableState: "a connection in this TCP state cannot move"
        case .boundToDevice: "a socket bound to a network device cannot move; bind it to an address instead"
        case .scopedAddress: "a link-local address means nothing on another host; use a routable one"
        case .unsettled:
            "packets went on arriving while the flow was held; check that all its traffic enters by the"
                + " interface that is steered"
        case .partnerStayed: "the other connection of the session cannot move, so this one stays with it"
        case .addressNotPermitted:
            "the receiving host may not restore connections on this local address; add it to its service addresses (migration.addresses)"
        case .addressNotLocal: "this host does not carry the connection's local address; add it to an interface"
        case .addressInUse: "this host already has a connection with the same addresses and ports"
        case .timestampsOff: "the connection uses TCP timestamps; set net.ipv4.tcp_timestamps=1 here"
        case .outOfRoom: "the kernel has no memory for the connection's queues; raise net.ipv4.tcp_mem"
        case .full: "the receiving host has as many connections as it takes; raise its limit"
        case .unreadableCompanion:
            "the receiving host's program cannot read the connection's state; run the same release on both"
        case .restoredDifferently: "the kernel restored the connection otherwise than it was frozen"
        case .malformed: "the message is damaged or not from Baton"
        case .unsupportedVersion: "the other host speaks another version; run the same release on both"
        case .protocolViolation: "the other host broke the protocol; run the same release on both"
        case .unverified:
            "the other host is not whom it should be; check the certificates, their names and the authority on both hosts"
        case .cancelled: "the move was cancelled; what had not moved stays"
        case .hostBusy: "connections are leaving or arriving at the host already; try again when they have"
        case .linkEnded: "the link between the hosts ended"
        case .timedOut: "the other host did not answer in time"
        case .declined: "the other host declined the connection"
        case .changedAfterFreezing: "packets reached the connection after it was frozen; try again"
        case .steeringRules:
            "the packet filter refused Baton's rules; check that nf_tables and nft_fwd_netdev are there"
        case .deviceBusy: "another Baton holds flows on this host; stop it first"
        case .notPermitted: "moving connections takes CAP_NET_ADMIN and CAP_NET_RAW"
        case .systemCall: "the kernel refused a call"
        case .hookFailed: "a program that moves service addresses failed; run it by hand to see why"
        }
    }
}
