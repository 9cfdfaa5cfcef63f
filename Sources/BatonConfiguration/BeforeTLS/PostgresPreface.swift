/// PostgreSQL's way to TLS (protocol documentation, 'SSL Session Encryption' and 'StartupMessage'): packets of a
/// length, a code and a body, before any message has a type.
struct PostgresPreface: Sendable {
    private enum Code {
        static let cancelRequest: UInt32 = 80_877_102
        static let sslRequest: UInt32 = 80_877_103
        static let gssEncRequest: UInt32 = 80_877_104
    }

    /// PostgreSQL's own MAX_STARTUP_PACKET_LENGTH.
    private static let lengthLimit: UInt32 = 10_000
    /// A CancelRequest names a process and its key: 4 bytes, from protocol 3.2 on up to 256.
    private static let cancelLengths: ClosedRange<UInt32> = 16...268
    private var refusedGSS = false

    init() {}

    /// Takes the packet that begins `pending` off it once it is complete.
    mutating func receive(_ pending: inout [UInt8]) -> PlainPreface.Step {
        guard let first = pending.first else { return .init(reply: [], next: .read) }
        // A ClientHello at once (`sslnegotiation=direct`, version 17): a handshake record, 0x16. As a packet's length
        // this byte would mean 369 million. Not after an SSLRequest or GSSENCRequest was answered.
        if first == 0x16, !refusedGSS {
            defer { pending = [] }
            return .init(reply: [], next: .beginTLS(pending))
        }
        guard pending.count >= 4 else { return .init(reply: [], next: .read) }
        let length = Self.word(pending, at: 0)
        guard 8...Self.lengthLimit ~= length else { return .init(reply: [], next: .close(.malformed)) }
        guard pending.count >= 8 else { return .init(reply: [], next: .read) }
        let code = Self.word(pending, at: 4)
        switch (code, length) {
        case (Code.sslRequest, 8):
            pending.removeFirst(8)
            return .init(reply: [UInt8(ascii: "S")], next: .beginTLS([]))
        case (Code.gssEncRequest, 8) where !refusedGSS:
            pending.removeFirst(8)
            // The client waits for the answer before it goes on: what has come already is an injection.
            guard pending.isEmpty else { return .init(reply: [], next: .close(.pipelinedPlaintext)) }
            refusedGSS = true
            return .init(reply: [UInt8(ascii: "N")], next: .read)
        case (Code.cancelRequest, Self.cancelLengths):
            // Clients before version 17 send it in the clear whatever the session uses, and servers take it so, also where
            // they shut other plain connections out. It has no answer but the end.
            guard pending.count >= Int(length) else { return .init(reply: [], next: .read) }
            guard pending.count == Int(length) else { return .init(reply: [], next: .close(.pipelinedPlaintext)) }
            defer { pending = [] }
            return .init(reply: [], next: .forward(pending))
        case (0x0002_0000...0x0003_FFFF, _):
            return .init(reply: Self.tlsRequired, next: .close(.refused))
        default: return .init(reply: [], next: .close(.malformed))
        }
    }

    /// The state that PostgreSQL itself gives a client which `hostssl` shuts out: invalid_authorization_specification.
    private static let tlsRequired = error("28000", "TLS is required; connect with sslmode=require")

    /// An ErrorResponse with severity, SQLSTATE and message, of at most 200 bytes.
    static func error(_ state: String, _ message: String) -> [UInt8] {
        let fields = ["SFATAL", "VFATAL", "C\(state)", "M\(message)"]
        let body: [UInt8] = fields.flatMap { Array($0.utf8) + [0] as [UInt8] } + [0]
        return [UInt8(ascii: "E"), 0, 0, 0, UInt8(truncatingIfNeeded: body.count + 4)] + body
    }

    private static func word(_ bytes: [UInt8], at offset: Int) -> UInt32 {
        bytes[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }
}
