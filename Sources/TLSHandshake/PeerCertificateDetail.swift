/// How much of the peer's certificate a connection keeps, in `ConnectionInfo.peerCertificate`. It goes with the connection wherever
/// it moves.
public enum PeerCertificateDetail: Int, Sendable, Comparable {
    /// Its digest and its subject.
    case subject
    /// Those and its alternative names, up to 4 KiB a connection.
    case names
    /// Those and the certificates themselves, as they were sent and as they were verified: some kilobytes a connection, at most
    /// 128.
    case chain

    /// Less before more.
    public static func < (a: PeerCertificateDetail, b: PeerCertificateDetail) -> Bool { a.rawValue < b.rawValue }
}
