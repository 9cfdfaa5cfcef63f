internal import Handoff

/// Why a connection could not go on in a channel, or could not be taken out of it. Protocol errors are `HandshakeError`
/// and `TLSError`.
public struct ConnectionError: Error, Sendable, Hashable {
    /// What happened, for programs.
    public enum Code: String, Sendable {
        /// The handshake took longer than `ConnectionOptions.handshakeTimeout`.
        case handshakeTimedOut
        /// The channel has no `ConnectionHandler`, or the handler is in no channel.
        case noConnection
        /// A connection cannot be moved during its handshake.
        case handshaking
        /// The application holds the connection here (`ConnectionHandler.hold`).
        case busy
        /// The connection is closed, or so far closed that nothing is left to move.
        case closed
        /// The connection has been taken out of the channel. Bytes written before go with it.
        case detached
        /// The channel is not a socket of this system.
        case notASocket
        /// The kernel's count of bytes taken is not what was written: the peer has reset the connection, or something
        /// else writes to the socket.
        case writePositionUnknown
        /// The peer has reset the connection, after it had ended its own side.
        case reset
        /// The call does not fit the state: TLS has already begun.
        case alreadySecured
        /// The application's state for the connection could not be encoded or decoded.
        case badApplicationState
        /// The application has given back more than `Parcel.maxUnread` bytes.
        case tooMuchUnread
        /// The kernel refused; `systemError` says why.
        case system
    }

    /// What happened, for programs.
    public let code: Code

    /// The `errno` value behind it, if there is one.
    public let systemError: Int32?

    init(_ code: Code, systemError: Int32? = nil) {
        self.code = code
        self.systemError = systemError
    }
}

extension ConnectionError: CustomStringConvertible {
    /// One line that says what to do.
    public var description: String {
        switch code {
        case .handshakeTimedOut: "the peer did not finish its handshake in time; it may be overloaded or not speak TLS"
        case .noConnection: "there is no ConnectionHandler in an open channel here; add one first"
        case .handshaking: "the connection is in its handshake; move it when the handshake is done"
        case .busy: "the application holds the connection; move it when every hold is released"
        case .closed: "the connection is closed; there is nothing to move"
        case .detached: "the connection has moved out of this channel; what was written goes with it"
        case .notASocket: "the channel is not a socket; only sockets can be moved"
        case .writePositionUnknown:
            "the kernel has not taken what was written; the peer reset the connection, or another handler writes below"
        case .reset: "the peer has reset the connection"
        case .alreadySecured: "TLS has already begun on this connection"
        case .badApplicationState: "the application's state cannot be read or written; both programs must agree on it"
        case .tooMuchUnread:
            "more than \(Parcel.maxUnread) bytes are read and not used; move the connection when they have been"
        case .system: "the system refused (errno \(systemError ?? 0)); see its limits on open files"
        }
    }
}
