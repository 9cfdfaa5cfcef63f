/// Chooses the target of a connection from what is known of it so far, and says what else it has to know.
///
/// Of the routes that match, the most specific wins, compared in this order:
/// 1. one that names the listener, before one that does not;
/// 2. the exact server name, before a wildcard, before none; of two wildcards the longer;
/// 3. one with an ALPN protocol, before one without;
/// 4. the longer path, before a shorter one, before none;
/// 5. one with a method, before one without.
///
/// Two routes cannot be equal in all five and match the same connection unless they ask for the very same: the
/// configuration refuses such a pair. So the order in which routes are written never matters.
///
/// A path is compared byte for byte as it was sent, neither decoded nor resolved: routes are no access control.
package struct Router: Sendable {
    /// What a connection is known by.
    package struct Facts: Hashable, Sendable {
        /// The name of the listener that accepted it.
        package var listener: String
        /// What its ClientHello told; nil: not read yet. Of a plain connection: an empty one.
        package var hello: Hello?
        /// The first line of its first HTTP/1 request; nil: not read yet. What is not one cannot be routed by it, so
        /// there is no third case.
        package var request: RequestLine?

        /// Creates the facts of a connection just accepted.
        package init(listener: String, hello: Hello? = nil, request: RequestLine? = nil) {
            self.listener = listener
            self.hello = hello
            self.request = request
        }
    }

    /// What the TLS handshake tells of the wish of the peer.
    package struct Hello: Hashable, Sendable {
        /// The server name asked for.
        package var serverName: String?
        /// The protocol agreed on by ALPN.
        package var applicationProtocol: String?

        /// Creates it; a plain connection has neither.
        package init(serverName: String? = nil, applicationProtocol: String? = nil) {
            self.serverName = serverName
            self.applicationProtocol = applicationProtocol
        }
    }

    /// What has to be read next.
    package enum Need: Hashable, Sendable {
        /// The ClientHello, and so the outcome of ALPN.
        case clientHello
        /// The first request line.
        case requestLine
    }

    /// The answer of the router.
    package enum Decision: Hashable, Sendable {
        /// The connection goes here, by the route of this name.
        case target(Target, route: String)
        /// It depends.
        case needs(Need)
        /// No route matches; the connection is to be closed.
        case noRoute
    }

    /// The most specific first.
    private let rules: [RoutingRule]

    /// Creates a router of named routes.
    package init(routes: [String: Route]) {
        rules = routes.sorted { $0.key < $1.key }
            .flatMap { RoutingRule.rules(name: $0.key, route: $0.value) }
            .sorted { $0.isMoreSpecific(than: $1) }
    }

    /// Chooses. With both `hello` and `request` known the answer is never `needs`.
    package func decide(_ facts: Facts) -> Decision {
        let name = facts.hello?.serverName.map { HostName($0)?.text ?? $0.lowercased() }
        let path = facts.request?.path
        for rule in rules where rule.listener == nil || rule.listener == facts.listener {
            if rule.asksHello {
                guard let hello = facts.hello else { return .needs(.clientHello) }
                guard rule.matches(serverName: name, alpn: hello.applicationProtocol) else { continue }
            }
            if rule.asksRequest {
                // A request can only be read behind the handshake.
                guard let request = facts.request else {
                    return .needs(facts.hello == nil ? .clientHello : .requestLine)
                }
                guard rule.matches(method: request.method, path: path) else { continue }
            }
            return .target(rule.target, route: rule.route)
        }
        return .noRoute
    }

    /// Pairs of routes that ask for the very same, so that neither is the more specific.
    static func conflicts(in routes: [String: Route]) -> [(String, String)] {
        var owners: [RoutingRule.Criteria: String] = [:]
        var pairs: [(String, String)] = []
        for (name, route) in routes.sorted(by: { $0.key < $1.key }) {
            for rule in RoutingRule.rules(name: name, route: route) {
                let owner = owners[rule.criteria, default: name]
                owners[rule.criteria] = owner
                if owner != name, pairs.last.map({ $0 != (owner, name) }) ?? true { pairs.append((owner, name)) }
            }
        }
        return pairs
    }
}
