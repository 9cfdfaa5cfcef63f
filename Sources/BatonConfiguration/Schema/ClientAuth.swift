/// Whether clients show a certificate.
package enum ClientAuth: String, Hashable, Sendable, CaseIterable {
    /// Not asked.
    case none
    /// Asked; a client without one is let in, one with a bad one is not.
    case request
    /// Asked; only clients with a good one are let in.
    case require
}
