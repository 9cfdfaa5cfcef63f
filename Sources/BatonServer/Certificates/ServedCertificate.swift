internal import BatonConfiguration
internal import Libc
internal import TLSHandshake

/// A certificate of the configuration, with where it is served.
struct ServedCertificate: Sendable {
    let name: String
    /// The file of its chain.
    let file: String
    let fetchesOCSP: Bool
    /// The listeners that may show it, in order.
    let listeners: [String]
    let identity: ServerConfiguration.Identity
    let store: IdentityStore

    /// What is told of it at `now`, in seconds since 1970. It may read files, of a certificate that no listener shows.
    func row(at now: Int64) -> CertificatesReport.Row {
        var row = CertificatesReport.Row(name: name, listeners: listeners, file: file)
        do {
            let facts = try store.describe(identity)
            row.subject = facts.subject
            row.issuer = facts.issuer
            row.names = facts.names
            row.key = facts.key
            row.notBefore = CertificateTerm.text(facts.notBefore)
            row.notAfter = CertificateTerm.text(facts.notAfter)
            row.daysLeft = (facts.notAfter - now).quotient(86_400)
            if let until = facts.stapledUntil {
                row.ocsp = .good(until: CertificateTerm.text(until))
            } else if fetchesOCSP || identity.ocspResponse != nil {
                row.ocsp = .missing(because: facts.stapleProblem)
            }
        } catch {
            row.problem = "\(error)"
        }
        return row
    }

    /// The last second that it is valid, in seconds since 1970; nil of one that no listener shows.
    var notAfter: Int64? { store.notAfter(identity) }
}

extension Int64 {
    /// Rounded down.
    fileprivate func quotient(_ divisor: Int64) -> Int {
        let whole = self / divisor
        return Int(clamping: self % divisor < 0 ? whole - 1 : whole)
    }
}
