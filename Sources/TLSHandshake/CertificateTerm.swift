// `tm` belongs to whichever C module was loaded first.
internal import COpenSSL
internal import Libc

/// How much of a certificate's life is left. A warning is given 30 days before its end, one more 7 days before it, and one when it has
/// expired; of a certificate that lives less than 90 days when a third of its life is left, and a tenth.
package struct CertificateTerm: Sendable {
    enum Stage: Int, Sendable {
        case notYet, good, month, week, expired
    }

    /// From the first to the last second it is valid, since 1970.
    let validity: ClosedRange<Int64>

    func stage(at now: Int64) -> Stage {
        if now < validity.lowerBound { return .notYet }
        if now > validity.upperBound { return .expired }
        let (life, isBroken) = validity.upperBound.subtractingReportingOverflow(validity.lowerBound)
        let left = validity.upperBound.subtractingReportingOverflow(now)
        guard !isBroken, !left.overflow else { return .good }
        if left.partialValue <= min(7 * 86_400, life / 10) { return .week }
        return left.partialValue <= min(30 * 86_400, life / 3) ? .month : .good
    }

    /// What the operator should know, in words that follow the certificate; nil for nothing.
    func notice(at now: Int64) -> String? {
        switch stage(at: now) {
        case .notYet: "is not valid yet; check its dates and the clock"
        case .good: nil
        case .month, .week:
            "expires in \(Self.span(validity.upperBound - now)), on \(Self.text(validity.upperBound)); renew it"
        case .expired: "has expired; renew it"
        }
    }

    /// As ISO 8601 has it, in UTC; empty for a time that cannot be written.
    package static func text(_ seconds: Int64) -> String {
        var time = time_t(clamping: seconds)
        var parts = tm()
        var text = [CChar](repeating: 0, count: 32)
        guard gmtime_r(&time, &parts) != nil, strftime(&text, text.count, "%Y-%m-%dT%H:%M:%SZ", &parts) > 0 else {
            return ""
        }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func span(_ seconds: Int64) -> String {
        func count(_ number: Int64, _ unit: String) -> String { "\(number) \(unit)\(number == 1 ? "" : "s")" }
        return seconds >= 86_400
            ? count(seconds / 86_400, "day")
            : seconds >= 3_600 ? count(seconds / 3_600, "hour") : count(seconds / 60, "minute")
    }
}

/// What is shown of a certificate that is served.
package struct CertificateDescription: Sendable, Hashable {
    /// In the form of RFC 2253, at most 1,024 bytes.
    package var subject: String
    package var issuer: String
    /// The server names it is for.
    package var names: [String]
    /// The kind of its key, with its bits if it is RSA: `ECDSA P-256`, `RSA 2048`.
    package var key: String
    /// The first and the last second it is valid, since 1970.
    package var notBefore: Int64
    package var notAfter: Int64
    /// Until when an OCSP response is sent with it, in seconds since 1970; nil: none is sent.
    package var stapledUntil: Int64?
    /// Why none is sent although one is wanted; nil if nothing is wrong.
    package var stapleProblem: String?
}
