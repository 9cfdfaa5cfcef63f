package import BatonCore

/// Carries whole messages between two hosts, in order. What it carries is secret: between machines it is a mutually
/// authenticated TLS 1.3 connection.
package protocol MigrationTransport: AnyObject {
    /// Sends one message.
    ///
    /// - Throws: `.linkEnded`, `.timedOut`. It is unknown then how much of the message the other side will see.
    func send(_ message: borrowing ByteQueue) throws(MigrationError)

    /// Receives the next message; waits at most `time`, or for ever if nil.
    ///
    /// - Throws: `.linkEnded`, `.timedOut`, `.malformed`.
    func receive(within time: Duration?) throws(MigrationError) -> ByteQueue
}

extension MigrationTransport {
    func send(_ message: MigrationMessage) throws(MigrationError) {
        var bytes = ByteQueue()
        bytes.append(message.encoded)
        try send(bytes)
    }

    func receiveMessage(within time: Duration?) throws(MigrationError) -> MigrationMessage {
        let bytes = try receive(within: time)
        guard let message = bytes.withBytes({ MigrationMessage($0) }) else {
            throw MigrationError(.protocolViolation)
        }
        return message
    }
}
