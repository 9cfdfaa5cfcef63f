/// Chooses the certificates of a handshake: among all that cover the name, by what the client can use; of those the ones
/// that are valid today; of those an exact name before a wildcard. An earlier one of the same kind of key goes before a
/// later one, and between kinds the library decides by the suites and signature schemes that both sides prefer.
enum CertificateChoice {
    /// - Parameters:
    ///   - serverName: the name asked for, normalised.
    ///   - now: seconds since 1970.
    /// - Returns: at most one of each kind of key; never empty unless `identities` is.
    static func identities(
        _ identities: [LoadedIdentity], for serverName: String?, now: Int64, canUse: (LoadedIdentity) -> Bool
    ) -> [LoadedIdentity] {
        if let serverName {
            let covering = matches(identities) { $0.match(serverName) }
            if !covering.isEmpty {
                // If it can use none of them the library says why with the alert for it: a certificate of another name
                // would not do.
                return best(covering, now: now, canUse: canUse) ?? best(covering, now: now) { _ in true } ?? []
            }
        }
        // Nobody asked for what is here: as if it had been the first name of the first certificate.
        guard let first = identities.first else { return [] }
        let defaults = matches(identities) { $0 === first ? .exact : first.names.first.map($0.match) ?? .none }
        return best(defaults, now: now, canUse: canUse)
            ?? best(identities.map { ($0, .none) }, now: now, canUse: canUse).map { Array($0.prefix(1)) }
            ?? [first]
    }

    private typealias Candidate = (identity: LoadedIdentity, match: CertificateNamePattern.Match)

    private static func matches(
        _ identities: [LoadedIdentity], _ match: (LoadedIdentity) -> CertificateNamePattern.Match
    ) -> [Candidate] {
        identities.map { ($0, match($0)) }.filter { $0.1 > .none }
    }

    private static func best(
        _ candidates: [Candidate], now: Int64, canUse: (LoadedIdentity) -> Bool
    ) -> [LoadedIdentity]? {
        let usable = candidates.filter { canUse($0.identity) }
        let valid = usable.filter { $0.identity.isValid(at: now) }
        let left = valid.isEmpty ? usable : valid
        guard let best = left.map(\.match).max() else { return nil }
        var slots: Set<KeyKind.Slot> = []
        return left.filter { $0.match == best && slots.insert($0.identity.kind.slot).inserted }.map(\.identity)
    }
}
