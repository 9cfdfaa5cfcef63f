public import BatonCore

/// Carries whole messages between two hosts, in order. What it carries is secret: between machines it is a mutually
/// authenticated TLS 1.3 connection, as `HostLink` of `BatonHosts` is.
///
/// Its calls block, and are made by one thread at a time.
public protocol MigrationTransport: AnyObject {
    /// Sends one message.
    ///
    /// - Throws: `.linkEnded`, `.timedOut`: it is unknown then how much of the message the other side will see. `.outOfRoom` if the
    ///   message is longer than the transport carries; nothing was sent then.
    func send(_ message: RawSpan) throws(MigrationError)

    /// Receives the next message; waits at most `time`, or for ever if nil.
    ///
    /// - Throws: `.linkEnded`, `.timedOut`, `.malformed`. After each of them the link is of no use any more.
    func receive(within time: Duration?) throws(MigrationError) -> SecretBytes
}

extension MigrationTransport {
    func send(_ message: MigrationMessage) throws(MigrationError) {
        try send(message.encoded.span.bytes)
    }

    func receiveMessage(within time: Duration?) throws(MigrationError) -> MigrationMessage {
        let bytes = try receive(within: time)
        guard let message = bytes.withUnsafeBytes({ MigrationMessage($0) }) else {
            throw MigrationError(.protocolViolation)
        }
        return message
    }
}
