package import Handoff
public import Logging

extension ConnectionHandler {
    /// A name for the connection in logs, 16 hexadecimal digits, by which its lines are found in those of all its owners: the first
    /// who asks for it makes it, at random, and it goes wherever the connection moves. It is for people and not for decisions:
    /// an owner can say what it likes. To be used on the event loop.
    public var logID: String {
        let known = metadata.annotations[Annotation.logID]
        var bytes = known.flatMap { $0.count == 8 ? $0 : nil }
        if bytes == nil, known != nil || metadata.annotations.count < ParcelMetadata.maxAnnotations {
            bytes = (0..<8).map { _ in UInt8.random(in: .min ... .max) }
            metadata.annotations[Annotation.logID] = bytes
        }
        // Where its owners' annotations take all the room the name is this owner's alone.
        let name = bytes ?? withUnsafeBytes(of: UInt(bitPattern: ObjectIdentifier(self)).bigEndian, Array.init)
        return ParcelMetadata.digits(of: name)
    }

    /// A logger whose lines have the connection's `logID` as `connection`, and as `listener` where it came in. To be used on the event
    /// loop.
    public func logger(from logger: Logger) -> Logger {
        var logger = logger
        logger[metadataKey: "connection"] = .string(logID)
        if let listener = metadata.listener { logger[metadataKey: "listener"] = .string(listener) }
        return logger
    }
}

extension ParcelMetadata {
    /// The name that `ConnectionHandler.logID` has given the connection, if somebody has asked for it.
    package var logID: String? {
        annotations[ConnectionHandler.Annotation.logID].flatMap { $0.count == 8 ? Self.digits(of: $0) : nil }
    }

    fileprivate static func digits(of bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
