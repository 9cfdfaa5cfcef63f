internal import TLSHandshake
internal import TLSRecords

/// Why TLS ended a connection, as an operator is told.
struct ConnectionFault: Equatable {
    /// Its label in the metrics.
    let reason: String
    /// What happened to the connection.
    let event: String
    /// Why, in one line.
    let text: String
    /// The alert that was sent, or with `isAlertTheirs` the one that came.
    let alert: Alert?
    let isAlertTheirs: Bool
    /// Where the standard says so.
    let section: String?

    /// `nil` for what is no matter of TLS: a transport that broke, a peer that went away, a move.
    init?(_ error: any Error) {
        switch error {
        case let error as TLSError:
            guard error.code != .truncated, error.fault != .caller else { return nil }
            reason = "\(error.code)".snakeCased
            event = "TLS ended a connection"
            text = "\(error)"
            alert = error.alert
            isAlertTheirs = error.code == .peerAlert
            section = error.code.section
        case let error as HandshakeError:
            guard error.code != .closed else { return nil }
            reason = error.code.rawValue.snakeCased
            event = "a connection failed"
            text = error.message
            alert = error.alert
            isAlertTheirs = error.code == .alertReceived
            section = nil
        default: return nil
        }
    }
}
