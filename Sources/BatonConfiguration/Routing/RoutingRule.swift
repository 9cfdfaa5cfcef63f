/// A route with at most one value for each criterion; a route with lists stands for all combinations.
struct RoutingRule: Sendable {
    /// What the rule asks for; nil asks nothing.
    struct Criteria: Hashable, Sendable {
        var listener: String?
        var serverName: ServerNamePattern?
        var alpn: String?
        var path: String?
        var method: String?
    }

    let route: String
    let target: Target
    let criteria: Criteria
    /// Whether the request says which of the target's addresses it is.
    private let hasAffinity: Bool
    private let rank: [Int]

    static func rules(name: String, route: Route) -> [RoutingRule] {
        func choices<T>(_ values: [T]) -> [T?] { values.isEmpty ? [nil] : values }
        var rules: [RoutingRule] = []
        for listener in choices(route.listeners) {
            for serverName in choices(route.serverNames) {
                for alpn in choices(route.alpn) {
                    for method in choices(route.methods) {
                        let criteria = Criteria(
                            listener: listener, serverName: serverName, alpn: alpn, path: route.path, method: method)
                        rules.append(RoutingRule(name, route, criteria))
                    }
                }
            }
        }
        return rules
    }

    private init(_ name: String, _ route: Route, _ criteria: Criteria) {
        self.route = name
        target = route.target
        hasAffinity = route.affinity?.needsRequest == true
        self.criteria = criteria
        // An exact name outranks every wildcard: a domain has at most 253 bytes.
        let nameRank = criteria.serverName.map { $0.isWildcard ? $0.name.utf8.count : 1000 } ?? 0
        rank = [
            criteria.listener == nil ? 0 : 1, nameRank, criteria.alpn == nil ? 0 : 1, criteria.path?.utf8.count ?? 0,
            criteria.method == nil ? 0 : 1,
        ]
    }

    var listener: String? { criteria.listener }
    var asksHello: Bool { criteria.serverName != nil || criteria.alpn != nil }
    var asksRequest: Bool { criteria.path != nil || criteria.method != nil || hasAffinity }

    func isMoreSpecific(than other: RoutingRule) -> Bool {
        if rank != other.rank { return other.rank.lexicographicallyPrecedes(rank) }
        return route < other.route
    }

    func matches(serverName: String?, alpn: String?) -> Bool {
        if let wanted = criteria.serverName {
            guard let serverName, wanted.matches(serverName) else { return false }
        }
        return criteria.alpn == nil || criteria.alpn == alpn
    }

    func matches(method: String, path: Substring?) -> Bool {
        if let wanted = criteria.path {
            guard let path, path.hasPrefix(wanted) else { return false }
            let boundary = path.utf8.dropFirst(wanted.utf8.count).first
            guard boundary == nil || boundary == UInt8(ascii: "/") || wanted.hasSuffix("/") else { return false }
        }
        return criteria.method == nil || criteria.method == method
    }
}
