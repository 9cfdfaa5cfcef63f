internal import BatonConfiguration
internal import NIOCore
internal import TLSHandshake

/// Everything about a configuration that can be known without serving it: keys and values, files, certificates.
package enum ConfigurationCheck {
    /// Checks what `options` name.
    ///
    /// - Returns: what the operator should know although it can be served, a line for each.
    /// - Throws: `ConfigurationError`, `RuntimeError`, or why a certificate cannot be used.
    @discardableResult
    package static func run(_ options: ServeOptions) throws -> [String] {
        let (configuration, sources, _) = try options.readSources()
        do {
            let policy = try FrontPolicy(
                configuration, keys: try TicketKeysBox(fileOf: configuration) ?? TicketKeysBox())
            return sources.notices
                + Capacity.shortfalls(
                    of: configuration, descriptors: DescriptorLimit.hard, processors: System.coreCount,
                    longestQueue: Capacity.longestQueue) + policy.notices
        } catch {
            let problems = problems(of: configuration)
            throw problems.isEmpty ? error : sources.located(problems)
        }
    }

    /// What cannot be used of certificates, listeners and upstreams, each tried by itself. A server that starts tells of the
    /// first alone.
    private static func problems(of configuration: Configuration) -> [ConfigurationProblem] {
        var problems: [ConfigurationProblem] = []
        func attempt(_ key: String, _ files: [(setting: String, path: String?)], _ body: () throws -> Void) {
            do {
                try body()
            } catch {
                // The message names the file, by which its key is found.
                let setting = files.first { file in file.path.map("\(error)".contains) ?? false }?.setting
                problems.append(
                    .init(code: .environment, key: setting.map { "\(key).\($0)" } ?? key, message: "\(error)"))
            }
        }
        for (name, certificate) in configuration.certificates.sorted(by: { $0.key < $1.key }) {
            attempt(
                "certificates.\(name)",
                [("chain", certificate.chain), ("key", certificate.key), ("ocsp", certificate.ocsp?.path)]
            ) {
                var alone = Configuration()
                alone.certificates[name] = certificate
                alone.listeners["alone"] = Listener()
                _ = try FrontPolicy(alone, keys: TicketKeysBox())
            }
        }
        for (name, upstream) in configuration.upstreams.sorted(by: { $0.key < $1.key }) where upstream.usesTLS {
            attempt(
                "upstreams.\(name)",
                [
                    ("tls-ca", upstream.tlsCA), ("tls-certificate", upstream.tlsCertificate),
                    ("tls-key", upstream.tlsKey),
                ]
            ) { _ = try ClientContext(upstream.clientConfiguration()) }
        }
        guard problems.isEmpty else { return problems }
        for (name, listener) in configuration.listeners.sorted(by: { $0.key < $1.key }) {
            let lists = listener.clientCRL.map { (setting: "client-crl", path: Optional($0)) }
            attempt("listeners.\(name)", [("client-ca", listener.clientCA)] + lists) {
                var alone = configuration
                alone.listeners = [name: listener]
                alone.upstreams = [:]
                _ = try FrontPolicy(alone, keys: TicketKeysBox())
            }
        }
        return problems
    }
}
