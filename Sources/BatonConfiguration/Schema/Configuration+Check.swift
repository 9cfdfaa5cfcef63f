extension Configuration {
    /// Something outside the configuration that must be as it says.
    package enum Requirement: Hashable, Sendable {
        /// A file that can be read.
        case readableFile(String)
        /// A file that can be written to, or made.
        case appendableFile(String)
        /// A directory in which a socket can be made.
        case writableDirectory(String)
        /// A user that exists, by name or number.
        case user(String)
        /// A group that exists, by name or number.
        case group(String)
        /// As many bytes of memory.
        case memory(Int)
    }

    /// What the configuration needs from outside, each with the key that asks for it, in the order of the keys.
    package var requirements: [(key: String, requirement: Requirement)] {
        var needed: [(key: String, requirement: Requirement)] = [
            ("control", .writableDirectory(Self.directory(of: control)))
        ]
        func need(_ key: String, _ path: String?) {
            if let path { needed.append((key, .readableFile(path))) }
        }
        if let user { needed.append(("user", .user(user))) }
        if let group { needed.append(("group", .group(group))) }
        if case .file(let path)? = accessLog { needed.append(("access-log", .appendableFile(path))) }
        if let bytes = limits.relayMemory { needed.append(("limits.relay-memory", .memory(bytes))) }
        if case .unix(let path)? = admin { needed.append(("admin", .writableDirectory(Self.directory(of: path)))) }
        for (name, certificate) in certificates.sorted(by: { $0.key < $1.key }) {
            need("certificates.\(name).chain", certificate.chain)
            need("certificates.\(name).key", certificate.key)
            if case .file(let path)? = certificate.ocsp { need("certificates.\(name).ocsp", path) }
        }
        need("session-tickets.key-file", sessionTickets.keyFile)
        if fetchesOCSP { needed.append(("ocsp-directory", .writableDirectory(ocspDirectory))) }
        for (name, listener) in listeners.sorted(by: { $0.key < $1.key }) {
            if case .unix(let path) = listener.address {
                needed.append(("listeners.\(name).address", .writableDirectory(Self.directory(of: path))))
            }
            need("listeners.\(name).client-ca", listener.clientCA)
            for path in listener.clientCRL { need("listeners.\(name).client-crl", path) }
        }
        for (name, upstream) in upstreams.sorted(by: { $0.key < $1.key }) {
            need("upstreams.\(name).tls-ca", upstream.tlsCA)
            need("upstreams.\(name).tls-certificate", upstream.tlsCertificate)
            need("upstreams.\(name).tls-key", upstream.tlsKey)
        }
        need("migration.certificate", migration.certificate)
        need("migration.key", migration.key)
        need("migration.ca", migration.ca)
        need("migration.take-command", migration.takeCommand)
        need("migration.leave-command", migration.leaveCommand)
        return needed
    }

    /// Whether an OCSP response is to be fetched.
    package var fetchesOCSP: Bool { certificates.values.contains { $0.ocsp == .fetch } }

    /// The files that are read again when they change. (OCSP responses and revocation lists are looked at by those who have them.)
    package var watchedFiles: Set<String> {
        guard reloadsOnChange else { return [] }
        var paths: [String?] = [sessionTickets.keyFile]
        for certificate in certificates.values { paths += [certificate.chain, certificate.key] }
        for listener in listeners.values { paths.append(listener.clientCA) }
        for upstream in upstreams.values { paths += [upstream.tlsCA, upstream.tlsCertificate, upstream.tlsKey] }
        return Set(paths.compactMap { $0 })
    }

    /// Checks what the configuration needs from outside. Upstreams and worker programs need not run yet.
    ///
    /// - Parameter obstacle: says what stands against a requirement, in words that follow 'it' (`does not exist`), or
    ///   nil if it is met.
    /// - Throws: `ConfigurationError` with everything that is not met.
    package func check(_ obstacle: (Requirement) -> String?) throws(ConfigurationError) {
        var problems: [ConfigurationProblem] = []
        for (key, requirement) in requirements {
            guard let reason = obstacle(requirement) else { continue }
            problems.append(.init(code: .environment, key: key, message: "\(requirement) \(reason)"))
        }
        guard problems.isEmpty else { throw ConfigurationError(problems: problems) }
    }

    private static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}

extension Configuration.Requirement: CustomStringConvertible {
    /// What it is, for a message.
    package var description: String {
        switch self {
        case .readableFile(let path), .appendableFile(let path): "the file \(path)"
        case .writableDirectory(let path): "the directory \(path)"
        case .user(let name): "the user \(name)"
        case .group(let name): "the group \(name)"
        case .memory(let bytes): "\(ByteSize(bytes)) of memory"
        }
    }
}
