/// The keys of session tickets (RFC 8446 section 4.6.1, RFC 5077), which all processes of a server share.
package struct SessionTickets: Hashable, Sendable {
    /// The age at which a new key takes over; nil: no tickets are given.
    package var rotateEvery: Duration? = .seconds(12 * 3600)
    /// How many former keys still open tickets.
    package var formerKeys = 2

    /// The file that the keys are read from, which others rotate; nil: the server makes its own.
    package var keyFile: String?

    /// Creates the defaults.
    package init() {}
}
