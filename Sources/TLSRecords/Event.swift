/// What a connection has to tell its owner.
public enum Event: Sendable, Equatable {
    /// This many bytes of plaintext can be read; nothing after them is looked at until they have been.
    case applicationData(Int)
    /// The peer changed its sending key (RFC 8446 section 4.6.3); `requested` if it wants ours changed too, which
    /// happens by itself.
    case keyUpdate(requested: Bool)
    /// The server offers a ticket (client side of TLS 1.3).
    case sessionTicket(SessionTicket)
    /// The peer will send no more. This side may still send (RFC 8446 section 6.1).
    case closeNotify
}
