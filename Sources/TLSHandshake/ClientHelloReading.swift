internal import BatonCore
internal import TLSRecords

/// The outcome of looking at the first bytes of a connection without taking them.
public enum ClientHelloReading: Sendable, Equatable {
    /// All right so far, but the hello is not complete.
    case needMore
    /// A whole ClientHello.
    case hello(ClientHello)
    /// These bytes can never become one.
    case notTLS(NotTLS)

    /// The largest ClientHello read, in bytes, record headers included. Real ones stay below 2 KiB (post-quantum key
    /// shares included).
    public static let maximumLength = 65_536

    /// Reads `bytes`, everything received on the connection so far. The hello may be split over records at any byte
    /// (RFC 8446 section 5.1). Keep the bytes: the handshake needs them all.
    public init(_ bytes: RawSpan) {
        self = bytes.withUnsafeBytes { ClientHelloReading(reading: $0) }
    }

    private init(reading bytes: UnsafeRawBufferPointer) {
        if let kind = ClientHelloReading.notTLS(firstBytes: bytes) {
            self = .notTLS(kind)
            return
        }
        let incomplete: ClientHelloReading =
            bytes.count < ClientHelloReading.maximumLength ? .needMore : .notTLS(.malformedHello("length"))
        var reader = WireReader(bytes)
        var fragments: [UnsafeRawBufferPointer] = []
        var received = 0
        var announced: Int?
        // Headers are walked first and nothing is copied until the message is whole, because the caller asks again with
        // every segment.
        // What follows the hello is none of its concern: early data (RFC 8446 section 4.2.10) may.
        while received < announced ?? 4,
            let start = reader.bytes(RecordHeader.length), let header = RecordHeader(start)
        {
            guard header.type == ContentType.handshake.rawValue, header.length > 0 else {
                self = .notTLS(.malformedHello("record type"))
                return
            }
            if let field = header.impossibleField {
                self = .notTLS(.malformedHello(field))
                return
            }
            guard fragments.count < ClientHelloReading.maxRecords else {
                self = .notTLS(.malformedHello("number of records"))
                return
            }
            let available = min(header.length, reader.remaining)
            if let part = reader.bytes(available), available > 0 { fragments.append(part) }
            received += available
            if announced == nil { announced = ClientHelloReading.announced(in: fragments) }
            if available < header.length { break }
        }
        if received < announced ?? 4 {
            self = ClientHelloReading.check(fragments) ?? incomplete
        } else {
            self = ClientHelloReading.finish(fragments.flatMap { Array($0) }) ?? incomplete
        }
    }

    /// More records than any client splits its hello into.
    private static let maxRecords = 1_024

    /// Length of the whole message by its header; `nil` while that is incomplete.
    private static func announced(in fragments: [UnsafeRawBufferPointer]) -> Int? {
        let header = Array(fragments.lazy.joined().prefix(4))
        guard header.count == 4 else { return nil }
        return 4 + (Int(header[1]) << 16 | Int(header[2]) << 8 | Int(header[3]))
    }

    /// What is already wrong with a message that is incomplete.
    private static func check(_ fragments: [UnsafeRawBufferPointer]) -> ClientHelloReading? {
        finish(Array(fragments.lazy.joined().prefix(4)))
    }

    /// The message in `assembled`, or `nil` while it is incomplete.
    private static func finish(_ assembled: [UInt8]) -> ClientHelloReading? {
        assembled.withUnsafeBytes { bytes in
            var reader = WireReader(bytes)
            guard let type = reader.uint8() else { return nil }
            guard type == 1 else { return .notTLS(.malformedHello("message type")) }
            guard let length = reader.uint24() else { return nil }
            guard length <= maximumLength else { return .notTLS(.malformedHello("length")) }
            guard let body = reader.bytes(length) else { return nil }
            switch ClientHello.parse(body) {
            case .success(let hello): return .hello(hello)
            case .failure(let malformed): return .notTLS(.malformedHello(malformed.field))
            }
        }
    }

    /// What the first bytes are if they cannot begin a TLS record; `nil` if they can.
    static func notTLS(firstBytes bytes: UnsafeRawBufferPointer) -> NotTLS? {
        guard let first = bytes.first else { return nil }
        if first == 22 { return bytes.count > 1 && bytes[1] != 3 ? .otherProtocol : nil }
        // SSL 2.0: a two-byte length with the top bit set, then CLIENT-HELLO (1) and a version (RFC 6101 appendix E).
        if first & 0x80 != 0, bytes.count >= 3, bytes[2] == 1 { return .sslv2 }
        let methods = ["GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "CONNECT ", "OPTIONS ", "TRACE ", "PATCH ", "PRI "]
        let isHTTP = methods.contains { method in
            zip(method.utf8, bytes).allSatisfy { $0 == $1 } && bytes.count >= 3
        }
        if isHTTP { return .plainHTTP }
        // A letter may still become a method; three bytes tell.
        if bytes.count < 3, first & 0x80 != 0 || (65...90).contains(first) { return nil }
        return .otherProtocol
    }
}
