internal import BatonCore

/// A NewSessionTicket of TLS 1.3 (RFC 8446 section 4.6.1).
public struct SessionTicket: Sendable, Equatable {
    /// Seconds the ticket may be used for, at most 604,800.
    public var lifetime: UInt32
    /// Added to the ticket's age, modulo 2^32, when it is used.
    public var ageAdd: UInt32
    /// Distinguishes tickets of one connection; at most 255 bytes.
    public var nonce: [UInt8]
    /// The opaque ticket; 1 to 65,535 bytes.
    public var ticket: [UInt8]

    /// Parses the body of the message; `nil` if it is malformed.
    init?(_ body: UnsafeRawBufferPointer) {
        var reader = WireReader(body)
        guard let lifetime = reader.uint32(), let ageAdd = reader.uint32(),
            let nonceLength = reader.uint8(), let nonce = reader.bytes(Int(nonceLength)),
            let ticketLength = reader.uint16(), ticketLength > 0, let ticket = reader.bytes(Int(ticketLength)),
            let extensionsLength = reader.uint16(), reader.bytes(Int(extensionsLength)) != nil, reader.isAtEnd
        else { return nil }
        // RFC 8446 section 4.6.1: a client keeps no ticket for longer than seven days, whatever the server says.
        self.lifetime = min(lifetime, 604_800)
        self.ageAdd = ageAdd
        self.nonce = Array(nonce)
        self.ticket = Array(ticket)
    }
}
