internal import BatonConfiguration
internal import SelfSigned
internal import TLSHandshake
internal import TLSRecords

/// What new connections are treated by: all that is made of a configuration before the first of them comes.
struct FrontPolicy: Sendable {
    let router: Router
    /// What connections of a route have in common that meet at one address.
    let affinities: [String: Affinity]
    let limits: Limits
    let listeners: [String: Listener]
    /// Who may come by which route, for those that not everybody may come by.
    let routeRules: [String: ClientRules]
    /// What upstreams are told of certificates.
    let toldOfCertificates: Set<ProxyProtocolExtension>
    /// The names by which the admin address may be asked for.
    let adminNames: Set<String>
    /// The TLS contexts by listener.
    let contexts: [String: ServerContext]
    /// Those of listeners whose peers may be the TLS server.
    let clientContexts: [String: ClientContext]
    /// What the operator should know of the certificates although they can be used, one line each.
    let notices: [String]
    /// The configuration's certificates.
    let certificates: [ServedCertificate]
    /// The certificates that are loaded.
    let identities: IdentityStore
    /// The files that this is made of, as they were before they were read.
    private(set) var files: FileStamps

    /// - Parameters:
    ///   - files: what they were before.
    ///   - before: the policy from which certificates are taken that have not changed, or are no good now.
    /// - Throws: `TLSConfigurationError` for certificates that cannot be used.
    init(
        _ configuration: Configuration, keys: TicketKeysBox, files: FileStamps = FileStamps(),
        before: FrontPolicy? = nil
    ) throws {
        router = configuration.router
        affinities = configuration.routes.compactMapValues(\.affinity)
        limits = configuration.limits
        listeners = configuration.listeners
        routeRules = configuration.routes.mapValues { ClientRules($0.clientRules) }.filter { !$0.value.isEmpty }
        toldOfCertificates = Set(
            configuration.upstreams.values.filter { $0.proxyProtocol == .v2 }.flatMap(\.proxyProtocolExtensions)
        ).intersection(ProxyProtocolExtension.ofCertificates)
        let readsFacts = !routeRules.isEmpty || !toldOfCertificates.isEmpty
        var adminNames = Set(configuration.adminHosts + ["localhost"])
        if case .tcp(.name(let name), _)? = configuration.admin { adminNames.insert(name) }
        self.adminNames = adminNames
        var contexts: [String: ServerContext] = [:]
        var clientContexts: [String: ClientContext] = [:]
        let store = before.map { IdentityStore(keeping: $0.identities) } ?? IdentityStore()
        for (name, listener) in configuration.listeners where listener.usesTLS {
            if listener.role != .client {
                contexts[name] = try Self.context(
                    name, listener, configuration, keys, store,
                    readsFacts: readsFacts || !listener.clientRules.isEmpty)
            }
            if listener.role != .server { clientContexts[name] = try Self.clientContext(listener, configuration) }
        }
        // Workers make their own; whether they can is said here.
        for upstream in configuration.upstreams.values where upstream.usesTLS {
            _ = try ClientContext(upstream.clientConfiguration())
        }
        self.contexts = contexts
        self.clientContexts = clientContexts
        store.forgetFormer()
        identities = store
        self.files = files
        certificates = configuration.certificates.sorted { $0.key < $1.key }.map { name, certificate in
            ServedCertificate(
                name: name, file: certificate.chain, fetchesOCSP: certificate.ocsp == .fetch,
                listeners: configuration.listeners.filter {
                    $0.value.usesTLS && ($0.value.certificates.isEmpty || $0.value.certificates.contains(name))
                }.keys.sorted(), identity: Self.identity(certificate, configuration), store: store)
        }
        notices = Set(contexts.values.flatMap(\.notices)).sorted()
    }

    /// The same, of files as they were then.
    func using(_ files: FileStamps) -> FrontPolicy {
        var policy = self
        policy.files = files
        return policy
    }

    /// For peers that connect and are the TLS server nonetheless.
    private static func clientContext(_ listener: Listener, _ configuration: Configuration) throws -> ClientContext {
        let verification: ClientConfiguration.Verification =
            if listener.clientAuth != .none, let path = listener.clientCA { .roots(.file(path)) } else { .none }
        return try ClientContext(
            ClientConfiguration(
                verification: verification, options: options(listener),
                identity: identities(listener, configuration).first))
    }

    private static func identities(
        _ listener: Listener, _ configuration: Configuration
    ) -> [ServerConfiguration.Identity] {
        let names = listener.certificates.isEmpty ? configuration.certificates.keys.sorted() : listener.certificates
        return names.compactMap { configuration.certificates[$0] }.map { identity($0, configuration) }
    }

    private static func identity(
        _ certificate: Certificate, _ configuration: Configuration
    ) -> ServerConfiguration.Identity {
        var identity = ServerConfiguration.Identity(
            certificateChain: .file(certificate.chain), privateKey: .file(certificate.key),
            serverNames: certificate.names.map { "\($0)" })
        switch certificate.ocsp {
        case nil: break
        case .file(let path): identity.ocspResponse = path
        case .fetch: identity.ocspDirectory = configuration.ocspDirectory
        }
        return identity
    }

    private static func options(_ listener: Listener) -> ProtocolOptions {
        ProtocolOptions(
            minimumVersion: listener.versions.contains(.tls12) ? .tls12 : .tls13,
            maximumVersion: listener.versions.contains(.tls13) ? .tls13 : .tls12, cipherSuites: listener.ciphers,
            groups: listener.groups.map(\.rawValue), applicationProtocols: listener.offeredProtocols)
    }

    private static func context(
        _ name: String, _ listener: Listener, _ configuration: Configuration, _ keys: TicketKeysBox,
        _ store: IdentityStore, readsFacts: Bool
    ) throws -> ServerContext {
        var identities = identities(listener, configuration)
        if identities.isEmpty {
            let issued = try IssuedCertificate.selfSigned(for: ["localhost", "127.0.0.1", "::1"])
            var identity = ServerConfiguration.Identity(
                certificateChain: .text(issued.certificatePEM), privateKey: .text(issued.privateKeyPEM))
            identity.isTemporary = true
            identities = [identity]
        }
        let clientCertificates: ServerConfiguration.ClientCertificates =
            switch (listener.clientAuth, listener.clientCA) {
            // A client without a certificate is about no rule.
            case (.request, let path?) where listener.clientRules.isEmpty: .optional(authorities: .file(path))
            case (.request, let path?), (.require, let path?): .required(authorities: .file(path))
            default: .none
            }
        var server = ServerConfiguration(
            identities: identities, options: options(listener), clientCertificates: clientCertificates,
            ticketCount: configuration.sessionTickets.rotateEvery == nil ? 0 : 2)
        server.revocationLists = listener.clientCRL
        server.verificationDepth = listener.clientVerifyDepth
        server.readsFacts = readsFacts
        server.requiresKnownName = listener.requiresKnownName
        server.sessionScope = name
        return try ServerContext(server, ticketKeys: keys.copy(), sharing: store)
    }
}
