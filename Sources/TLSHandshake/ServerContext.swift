internal import COpenSSL
internal import Libc
internal import TLSRecords

/// Everything the handshakes of a server share. Making one reads the files of its configuration, on any thread; after
/// that only `refresh()` does I/O, and any number of handshakes may use it at once.
public final class ServerContext: Sendable {
    let library: LibraryContext
    let identities: [LoadedIdentity]
    let applicationProtocols: [[UInt8]]
    let ticketKeys: TicketKeyStore
    let clientTrust: ClientTrust?
    let requiresKnownName: Bool
    let verifier: CertificateVerifier?
    let peerDetail: PeerCertificateDetail
    let readsFacts: Bool

    var verifiesClients: Bool { clientTrust != nil }

    /// What the operator should know about the configuration although it can be served, one line each: certificates that
    /// have expired, keys that everybody may read, and the like. `refresh()` tells what is new.
    public let notices: [String]

    /// Checks a configuration and makes a context of it.
    ///
    /// - Parameter ticketKeys: shared with the other processes that serve the same clients; random ones of its own
    ///   otherwise.
    /// - Parameter store: has the identities that other contexts have loaded.
    public init(
        _ configuration: ServerConfiguration, ticketKeys: consuming TicketKeys = .random(),
        sharing store: IdentityStore = IdentityStore()
    ) throws(TLSConfigurationError) {
        guard !configuration.identities.isEmpty else {
            throw TLSConfigurationError(
                code: .noCertificate, message: "a TLS server needs a certificate and its key; give at least one pair")
        }
        var identities: [LoadedIdentity] = []
        for identity in configuration.identities { identities.append(try store.load(identity)) }
        self.identities = identities
        try ServerContext.checkClaims(zip(configuration.identities, identities).map { ($0, $1.kind) })
        applicationProtocols = configuration.options.applicationProtocols.map { Array($0.utf8) }
        self.ticketKeys = TicketKeyStore(ticketKeys)
        requiresKnownName = configuration.requiresKnownName
        peerDetail = configuration.peerCertificateDetail
        readsFacts = configuration.readsFacts
        library = try LibraryContext(.server, configuration.options)

        let (authorities, isRequired, verifier) = configuration.clientCertificates.parts
        self.verifier = verifier
        if let isRequired {
            clientTrust = try ClientTrust(
                authorities: authorities, revocationLists: configuration.revocationLists,
                depth: configuration.verificationDepth)
            if let authorities { try library.announce(authorities) }
            SSL_CTX_set_verify(
                library.pointer, isRequired ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_PEER, nil)
            if let depth = configuration.verificationDepth {
                SSL_CTX_set_verify_depth(library.pointer, Int32(clamping: depth))
            }
            library.verifyPeers()
        } else {
            clientTrust = nil
        }
        let demand: UInt8 = isRequired.map { $0 ? 2 : 1 } ?? 0
        let now = Int64(time(nil))
        notices = identities.flatMap { $0.notices(at: now) } + (clientTrust?.notices ?? [])
        for identity in identities { try identity.check(in: library) }
        let facts = ServerContext.sessionFacts(
            configuration, demand: demand, asksVerifier: verifier != nil, authorities: clientTrust?.digests ?? [],
            certificates: zip(configuration.identities, identities).filter { !$0.0.isTemporary }
                .map { CertificateDigest.sha256(of: $0.1.certificate) })
        let digest = facts.withUnsafeBytes { HashFunction.sha256.hash($0) }
        SSL_CTX_set_session_id_context(library.pointer, digest, UInt32(digest.count))
        setCallbacks(ticketCount: configuration.ticketCount)
    }

    /// Uses other ticket keys from now on. Tickets under keys that are not among them are ignored: their clients do a
    /// full handshake.
    public func replaceTicketKeys(_ keys: consuming TicketKeys) { ticketKeys.replace(keys) }

    /// The ticket keys in use, to be given to a process that shares them.
    public func copyTicketKeys() -> TicketKeys { ticketKeys.copy() }

    /// Reads OCSP responses and revocation lists again whose files have changed, and looks whether a certificate comes to its end:
    /// 30 days and 7 days before it, and when it has expired. It blocks while it reads, so call it from
    /// time to time on a thread that may.
    ///
    /// - Returns: what is wrong with them, one line each, told once.
    public func refresh() -> [String] {
        let now = Int64(time(nil))
        return identities.flatMap { $0.refresh(at: now) } + (clientTrust?.refresh() ?? [])
    }

    /// A claim belongs to a name and a kind of key, so that a client can be shown what it can use.
    private static func checkClaims(
        _ identities: [(ServerConfiguration.Identity, KeyKind)]
    ) throws(TLSConfigurationError) {
        struct Claim: Hashable {
            var name: CertificateNamePattern
            var kind: KeyKind
        }
        var owners: [Claim: String] = [:]
        for (identity, kind) in identities {
            let name = identity.certificateChain.name
            for pattern in Set(identity.serverNames.map(CertificateNamePattern.init)) {
                guard let other = owners.updateValue(name, forKey: Claim(name: pattern, kind: kind)) else { continue }
                throw TLSConfigurationError(
                    code: .ambiguousName,
                    message:
                        "\(pattern) is claimed by two certificates with \(kind) keys, \(other) and \(name); take it "
                        + "out of the names of one")
            }
        }
    }

    /// A session is only good where everything is as it was: its server (`sessionScope`), what is asked of clients, the
    /// certificates they have seen, and the suites. The server name is compared for each ticket, see `accepts(_:in:)`.
    ///
    /// The bytes are those of earlier releases wherever a configuration says the same: otherwise an upgrade would void every
    /// ticket, and hosts of different releases would take none of each other's.
    ///
    /// - Parameter certificates: the digests of those that are not temporary.
    static func sessionFacts(
        _ configuration: ServerConfiguration, demand: UInt8, asksVerifier: Bool, authorities: [UInt8],
        certificates: [[UInt8]]
    ) -> [UInt8] {
        let options = configuration.options
        var facts: [UInt8] = []
        func add(_ bytes: [UInt8]) {
            // With its length, so that no two lists of facts are the same bytes.
            withUnsafeBytes(of: UInt32(bytes.count).bigEndian) { facts += $0 }
            facts += bytes
        }
        add(Array(configuration.sessionScope.utf8))
        add(asksVerifier ? [demand, 1] : [demand])
        add(authorities)
        for certificate in certificates { add(certificate) }
        for number in [options.minimumVersion.rawValue, options.maximumVersion.rawValue]
            + options.cipherSuites.map(\.rawValue)
        {
            add([UInt8(number >> 8), UInt8(number & 0xFF)])
        }
        return facts
    }
}

extension ServerConfiguration.ClientCertificates {
    /// Whose are taken, whether one is required (`nil`: none is asked for), and who decides beside the library.
    fileprivate var parts: (authorities: PEMSource?, isRequired: Bool?, verifier: CertificateVerifier?) {
        switch self {
        case .none: (nil, nil, nil)
        case .optional(let source): (source, false, nil)
        case .required(let source): (source, true, nil)
        case .verified(let isRequired, let source, let verifier): (source, isRequired, verifier)
        }
    }
}
