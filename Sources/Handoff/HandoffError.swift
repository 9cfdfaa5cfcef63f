/// Why a handoff channel could not be opened or cannot go on.
///
/// What becomes of a single offer is no error: `OfferOutcome` tells, and gives back what was not handed over.
public struct HandoffError: Error, Sendable, Equatable {
    /// What went wrong, for programs.
    public enum Code: String, Sendable {
        /// No process listens at the path: it does not exist, or the one that made it is gone.
        case nobodyListening
        /// Another process listens at the path.
        case pathInUse
        /// A file of somebody else's is where a socket or its lock is to be.
        case foreignFile
        /// A Unix socket path holds at most 107 bytes.
        case pathTooLong
        /// The directory of the path is open to other users, or is no directory.
        case unsafeDirectory
        /// The process at the other end runs as a user that may not take part.
        case peerNotAllowed
        /// The two sides have no version of the protocol or of the snapshot in common.
        case versionMismatch
        /// The batch cannot be written as an offer: too many parcels, or metadata beyond its limits.
        case invalidBatch
        /// The time limit passed.
        case timedOut
        /// The other side closed the channel or terminated.
        case channelEnded
        /// The other side said something the protocol does not allow at this point.
        case protocolViolation
        /// The kernel refused; `systemError` says why.
        case system
    }

    /// What went wrong, for programs.
    public let code: Code

    /// What went wrong and what to do, in one line, for people.
    public let message: String

    /// The `errno` value behind it, if there is one.
    public let systemError: Int32?

    init(_ code: Code, _ message: String, systemError: Int32? = nil) {
        self.code = code
        self.message = message
        self.systemError = systemError
    }
}

extension HandoffError: CustomStringConvertible {
    /// The message, with the system's own words where there are some.
    public var description: String {
        guard let systemError else { return message }
        return "\(message) (\(errorText(systemError)))"
    }
}
