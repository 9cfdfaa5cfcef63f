/// Why a server or one of its connections cannot go on.
public enum MovableServerError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A WebSocket has come from the program before, and this one serves none.
    case unexpectedWebSocket
    /// No place for a socket could be made; the system's error number.
    case noTemporaryFolder(Int32)

    /// One line that says what to do.
    public var description: String {
        switch self {
        case .unexpectedWebSocket:
            "a WebSocket has come from the program before; give .http1 its webSockets, so that it can go on"
        case .noTemporaryFolder(let number):
            "no folder for a socket can be made (error \(number)); set TMPDIR to a folder with a short path that may be written"
        }
    }
}
