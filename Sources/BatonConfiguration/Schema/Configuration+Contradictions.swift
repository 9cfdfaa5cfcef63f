import BatonCore
import TLSRecords

extension Configuration {
    /// What cannot hold together, although every value is allowed by itself.
    func contradictions() -> [ConfigurationProblem] {
        var found = Contradictions()
        if listeners.isEmpty { found.add("listeners", "there is none; set listeners.NAME.address or --listen") }
        for (name, listener) in listeners.sorted(by: { $0.key < $1.key }) {
            check(listener, at: "listeners.\(name)", &found)
        }
        checkAddresses(&found)
        checkRoutes(&found)
        checkHTTP2(&found)
        for (name, upstream) in upstreams.sorted(by: { $0.key < $1.key }) {
            check(upstream, named: name, &found)
        }
        checkMigration(&found)
        if sessionTickets.keyFile != nil, sessionTickets.rotateEvery == nil {
            found.add(
                "session-tickets.key-file",
                "is of no use, since rotate-every is off, which means no tickets; leave that out")
        }
        if group != nil, user == nil { found.add("group", "is set without user; set user too") }
        return found.problems
    }

    private func check(_ listener: Listener, at key: String, _ found: inout Contradictions) {
        for name in listener.certificates where certificates[name] == nil {
            found.add("\(key).certificates", "there is no certificates.\(name)")
        }
        if !listener.usesTLS {
            if listener.startTLS != nil { found.add("\(key).starttls", "leads to TLS, but tls is false") }
            if listener.role != .server { found.add("\(key).role", "needs TLS, but tls is false") }
            if !listener.certificates.isEmpty { found.add("\(key).certificates", "are of no use, since tls is false") }
            if listener.requiresKnownName { found.add("\(key).strict-sni", "is of no use, since tls is false") }
            if !listener.clientRules.isEmpty { found.add("\(key).client-rules", "need TLS, but tls is false") }
        }
        if listener.startTLS != nil, listener.role != .server {
            found.add("\(key).starttls", "is spoken as a server; set role to server")
        }
        if let kind = listener.startTLS { check(listener.alpn, behind: kind, at: "\(key).alpn", &found) }
        if !listener.proxyProtocolSources.isEmpty {
            if listener.proxyProtocol == .off {
                found.add("\(key).proxy-protocol-from", "is of no use, since proxy-protocol is off")
            }
            if case .unix = listener.address {
                found.add(
                    "\(key).proxy-protocol-from", "is for TCP; the directory of a Unix socket says who may connect")
            }
        }
        if listener.role == .server {
            if listener.peerName != nil { found.add("\(key).peer-name", "is of no use with role server") }
        } else if listener.clientAuth != .none, listener.peerName == nil {
            found.add("\(key).peer-name", "is needed to verify a peer that is the TLS server")
        }
        if listener.role == .detect, listener.detectTime >= limits.handshakeTime {
            found.add("\(key).detect-time", "must be shorter than limits.handshake-time")
        }
        if listener.clientAuth != .none, listener.clientCA == nil {
            found.add("\(key).client-auth", "needs client-ca")
        }
        if listener.clientAuth == .none {
            if !listener.clientRules.isEmpty { found.add("\(key).client-rules", "need client-auth; set it to require") }
            if listener.clientVerifyDepth != nil { found.add("\(key).client-verify-depth", "needs client-auth") }
        }
        if listener.role != .server {
            if !listener.clientRules.isEmpty {
                found.add("\(key).client-rules", "are for TLS clients; set role to server")
            }
            if listener.clientVerifyDepth != nil {
                found.add("\(key).client-verify-depth", "is for TLS clients; set role to server")
            }
            if !listener.clientCRL.isEmpty { found.add("\(key).client-crl", "is for TLS clients; set role to server") }
            if listener.requiresKnownName { found.add("\(key).strict-sni", "is for TLS clients; set role to server") }
        }
        if listener.clientAuth == .none, !listener.clientCRL.isEmpty {
            found.add("\(key).client-crl", "is of no use with client-auth none; set it to request or require")
        }
        for version in listener.versions where !listener.ciphers.contains(where: { $0.version == version }) {
            found.add("\(key).ciphers", "has none for TLS \(version); add one or take the version out of tls-versions")
        }
    }

    private func check(
        _ offered: [String], behind kind: PlainPreface.Kind, at key: String, _ found: inout Contradictions
    ) {
        for name in offered where name == "h2" || name == "http/1.1" {
            found.add(key, "offers \(name), but starttls is \(kind.rawValue)")
        }
        if kind == .postgres, !offered.isEmpty, !offered.contains(PlainPreface.Kind.postgresProtocol) {
            found.add(key, "needs postgresql, without which clients from version 17 on end; add it, or leave alpn out")
        }
    }

    /// HTTP/2 has no request line to read, and the built-in page does not speak it. Asks the router itself, with each
    /// name that it knows and with none.
    private func checkHTTP2(_ found: inout Contradictions) {
        let router = router
        let names = Set(routes.values.flatMap(\.serverNames)).map { $0.isWildcard ? "any-name.\($0.name)" : $0.name }
        for (name, listener) in listeners.sorted(by: { $0.key < $1.key }) where listener.alpn.contains("h2") {
            let decisions = ([nil] + names.sorted()).map { serverName in
                router.decide(.init(listener: name, hello: .init(serverName: serverName, applicationProtocol: "h2")))
            }
            let key = "listeners.\(name).alpn"
            if decisions.contains(.needs(.requestLine)) {
                found.add(
                    key,
                    "offers h2, but a route asks for a path, a method or an affinity, which only HTTP/1 connections have; set alpn: "
                        + "[http/1.1] for that route, or take h2 out")
            }
            let page = decisions.compactMap { if case .target(.hello, let route) = $0 { route } else { nil } }
            if let route = page.first {
                found.add(
                    key,
                    "offers h2, which the built-in page does not speak; "
                        + (routes.isEmpty ? "" : "set alpn: [http/1.1] for routes.\(route), or ") + "take h2 out")
            }
        }
    }

    /// What listens has its address alone. Where a name leads to is known only when the server starts.
    private func checkAddresses(_ found: inout Contradictions) {
        var taken = [("control", Address.unix(path: control))]
        let wanted =
            listeners.sorted { $0.key < $1.key }.map { ("listeners.\($0.key).address", $0.value.address) }
            + (admin.map { [("admin", $0)] } ?? []) + (migration.listen.map { [("migration.listen", $0)] } ?? [])
        for (key, address) in wanted {
            if let (other, there) = taken.first(where: { $0.1.overlaps(address) }) {
                let owner = other.hasSuffix(".address") ? String(other.dropLast(8)) : other
                found.add(
                    key,
                    there == address
                        ? "\(address) is already taken by \(owner)"
                        : "\(address) is in part taken by \(owner), which listens at \(there)")
            }
            taken.append((key, address))
        }
    }

    private func checkRoutes(_ found: inout Contradictions) {
        if routes.isEmpty, upstreams.count > 1 {
            found.add("routes", "there is none, and more than one upstream to choose from; set routes.NAME.target")
        }
        for (name, route) in routes.sorted(by: { $0.key < $1.key }) {
            if case .upstream(let upstream) = route.target, upstreams[upstream] == nil {
                let message = "there is no upstreams.\(upstream); it must be \(Target.forms)"
                found.add("routes.\(name).target", message)
            }
            switch (route.affinity, route.target) {
            case (nil, _), (_, .upstream): break
            case (let affinity?, let target):
                found.add(
                    "routes.\(name).affinity",
                    "\(affinity) chooses among the addresses of an upstream, and \(target) is none; leave it out")
            }
            let served = listeners.filter { route.listeners.isEmpty || route.listeners.contains($0.key) }
            if !route.clientRules.isEmpty, !served.values.contains(where: \.asksForCertificates) {
                found.add(
                    "routes.\(name).client-rules",
                    "let nobody in: none of its listeners asks clients for a certificate; set client-auth there")
            }
            for listener in route.listeners where listeners[listener] == nil {
                found.add("routes.\(name).listeners", "there is no listeners.\(listener)")
            }
        }
        for (first, second) in Router.conflicts(in: routes) {
            found.add("routes.\(second)", "asks for the same connections as routes.\(first); make one more specific")
        }
    }

    private func checkMigration(_ found: inout Contradictions) {
        guard migration != Migration() || !peers.isEmpty else { return }
        let wanted: [(String, Bool)] = [
            ("migration.certificate", migration.certificate != nil), ("migration.key", migration.key != nil),
            ("migration.ca", migration.ca != nil), ("migration.interface", !migration.interfaces.isEmpty),
            ("migration.addresses", !migration.addresses.isEmpty), ("peers", !peers.isEmpty),
        ]
        for (key, isSet) in wanted where !isSet {
            found.add(key, "is needed to move connections between hosts; set it, or nothing of migration and peers")
        }
        if case .unix? = migration.listen { found.add("migration.listen", "is for other hosts; give HOST:PORT") }
        if Set(migration.interfaces).count < migration.interfaces.count {
            found.add("migration.interface", "names an interface twice")
        }
        var names: [String: String] = [:]
        for (name, peer) in peers.sorted(by: { $0.key < $1.key }) {
            if case .unix = peer.address { found.add("peers.\(name).address", "is another host; give HOST:PORT") }
            if let other = names.updateValue(name, forKey: peer.name) {
                found.add("peers.\(name).name", "is that of peers.\(other), too")
            }
        }
    }

    private func check(_ upstream: Upstream, named name: String, _ found: inout Contradictions) {
        let key = "upstreams.\(name)"
        if Target(name) != .upstream(name) {
            found.add(key, "has the name of a built-in target, so that no route can lead to it; give it another name")
        }
        checkBalance(upstream, at: key, &found)
        guard !upstream.usesTLS else {
            if upstream.verifiesTLS, upstream.tlsName == nil {
                for address in upstream.addresses {
                    switch address.place {
                    case .address(.unix):
                        found.add("\(key).tls-name", "is needed to verify what answers on a Unix socket")
                    case .service:
                        // RFC 6125 section 6.2.1: a name that DNS has given is no name to verify.
                        found.add("\(key).tls-name", "is needed to verify what SRV records lead to")
                    case .address: continue
                    }
                    break
                }
            }
            if upstream.tlsCertificate != nil, upstream.tlsKey == nil {
                found.add("\(key).tls-key", "is missing; set it to the private key of tls-certificate")
            }
            if upstream.tlsKey != nil, upstream.tlsCertificate == nil {
                found.add("\(key).tls-certificate", "is missing; set it to the certificate of tls-key")
            }
            return
        }
        if upstream.tlsName != nil { found.add("\(key).tls-name", "is of no use, since tls is false") }
        if upstream.tlsCA != nil { found.add("\(key).tls-ca", "is of no use, since tls is false") }
        if upstream.tlsCertificate != nil { found.add("\(key).tls-certificate", "is of no use, since tls is false") }
        if upstream.tlsKey != nil { found.add("\(key).tls-key", "is of no use, since tls is false") }
    }
}

extension Listener {
    fileprivate var asksForCertificates: Bool { usesTLS && role == .server && clientAuth != .none }
}

extension Configuration {
    fileprivate func checkBalance(_ upstream: Upstream, at key: String, _ found: inout Contradictions) {
        if !upstream.addresses.isEmpty, upstream.addresses.allSatisfy({ $0.weight == 0 }) {
            found.add("\(key).addresses", "have weight=0, all of them; leave one that gets connections")
        }
        let places = upstream.addresses.map(\.place)
        if Set(places).count < places.count { found.add("\(key).addresses", "has one twice; give it a weight instead") }
        let standard = UpstreamCheck()
        if upstream.check.kind != .http {
            if upstream.check.path != standard.path { found.add("\(key).check-path", "is for check: http") }
            if upstream.check.host != standard.host { found.add("\(key).check-host", "is for check: http") }
        }
        if upstream.slowStart != nil, upstream.balance == .first || upstream.balance == .hash {
            found.add("\(key).slow-start", "is for balance: round-robin or least-connections")
        }
    }
}

private struct Contradictions {
    var problems: [ConfigurationProblem] = []

    mutating func add(_ key: String, _ message: String) {
        problems.append(ConfigurationProblem(code: .contradiction, key: key, message: message))
    }
}

extension Address {
    /// Whether two sockets, one at each, would have connections in common. Names are compared as names.
    fileprivate func overlaps(_ other: Address) -> Bool {
        guard case .tcp(let host, let port) = self, case .tcp(let otherHost, let otherPort) = other else {
            return self == other
        }
        // Whoever asks for port 0 gets a port of its own.
        guard port == otherPort, port != 0 else { return false }
        switch (host, otherHost) {
        case (.any, _), (_, .any): return true
        case (.ip(let ip), .ip(let otherIP)):
            let (ip, otherIP) = (ip.unmapped, otherIP.unmapped)
            return ip == otherIP
                || ip.octets.count == otherIP.octets.count && (ip.isUnspecified || otherIP.isUnspecified)
        case (.ip(let ip), .zoned), (.zoned, .ip(let ip)): return ip == .v6(high: 0, low: 0)
        default: return host == otherHost
        }
    }
}

extension IPAddress {
    fileprivate var isUnspecified: Bool { octets.allSatisfy { $0 == 0 } }
}
