/// Why a running server, or a command that talks to one, cannot go on.
package struct RuntimeError: Error, Sendable, Hashable {
    /// What went wrong, for programs.
    package enum Code: String, Sendable {
        /// The configuration cannot be used as it stands.
        case configuration
        /// A listening socket cannot be made.
        case cannotListen
        /// Another server uses the control socket.
        case alreadyRunning
        /// No server answers at the control socket.
        case notRunning
        /// The server closed the connection before it had answered: its front has died or ends.
        case noAnswer
        /// A process cannot be started, or ended before it was ready.
        case processFailed
        /// The server understood the command and could not carry it out.
        case refused
        /// The kernel refused.
        case system
    }

    /// What went wrong, for programs.
    package let code: Code
    /// What went wrong and what to do, in one line.
    package let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }
}

extension RuntimeError: CustomStringConvertible {
    /// The message.
    package var description: String { message }
}
