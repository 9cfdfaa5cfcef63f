/// Decides by its certificate whether a client may come in.
///
/// Without rules everybody may. With any, the most specific rule that matches decides, whatever the order in which they are written:
/// 1. `spki`, one key;
/// 2. one name: `uri`, `dns`, `cn`, `ip` with one address;
/// 3. a pattern: `uri:…/*`, `dns:*.…`, `ip` with a network; of two that match the same name the longer;
/// 4. `issuer`;
/// 5. `any`.
///
/// Where a rule that allows is as specific as one that denies, the one that denies decides. A certificate of several names is matched
/// by each of them. Whom no rule matches, who shows no certificate, and whose certificate can be read in more than one way is refused.
package struct ClientRules: Sendable {
    /// Why a client is refused.
    package enum Refusal: Error, Hashable, Sendable {
        /// It has shown no certificate.
        case noCertificate
        /// Its certificate has something that can be read in more than one way.
        case unclear(String)
        /// This rule denies it.
        case denied(String)
        /// No rule is about it.
        case unknown
    }

    private let rules: [ClientRule]

    package init(_ rules: [ClientRule]) { self.rules = rules }

    package var isEmpty: Bool { rules.isEmpty }

    /// - Parameter identity: what its certificate says; `nil`: it has shown none.
    /// - Throws: why it is refused.
    package func admit(_ identity: ClientIdentity?) throws(Refusal) {
        guard !rules.isEmpty else { return }
        guard let identity else { throw .noCertificate }
        if let flaw = identity.flaw { throw .unclear(flaw) }
        var decisive = -1
        var denial: String?
        for name in identity.names {
            let matching = rules.filter { $0.matches(name) }
            guard let best = matching.map(\.specificity).max() else { continue }
            let rank = best.rank.rawValue
            guard rank >= decisive else { continue }
            if rank > decisive { denial = nil }
            decisive = rank
            denial = denial ?? matching.first { $0.specificity == best && !$0.isAllowed }?.text
        }
        guard decisive >= 0 else { throw .unknown }
        if let denial { throw .denied(denial) }
    }

    /// A number for these rules on this route, by which another process knows that they have let somebody in. Rules that differ have
    /// another one.
    package func digest(of route: String) -> UInt64 {
        ([route] + rules.map(\.text)).flatMap { Array($0.utf8) + [0] }.stableHash
    }
}

extension ClientRules.Refusal: CustomStringConvertible {
    /// What stands against the client.
    package var description: String {
        switch self {
        case .noCertificate: "it has shown no certificate"
        case .unclear(let why): "its certificate is refused: \(why)"
        case .denied(let rule): "it is denied by '\(rule)'"
        case .unknown: "no rule allows it"
        }
    }
}
