package import SelfSigned
package import TLSHandshake
import TLSRecords

/// Certificates for the tests, made once a run.
package struct Credentials: Sendable {
    package let authority: CertificateAuthority
    private let issued: [String: IssuedCertificate]

    package static let shared: Credentials = {
        do { return try Credentials() } catch { fatalError("no certificates for the tests: \(error)") }
    }()

    private init() throws {
        authority = try CertificateAuthority(commonName: "Baton tests")
        issued = [
            "p256": try authority.issue(for: ["localhost", "127.0.0.1"], keyType: .p256),
            "rsa": try authority.issue(for: ["localhost", "127.0.0.1"], keyType: .rsa2048),
            "ed25519": try authority.issue(for: ["localhost", "127.0.0.1"], keyType: .ed25519),
            "wildcard": try authority.issue(for: ["*.example.com"], keyType: .p256),
            "exact": try authority.issue(for: ["www.example.com"], keyType: .p256),
            "client": try authority.issue(for: ["device-17"], keyType: .p256),
        ]
    }

    package subscript(name: String) -> IssuedCertificate {
        guard let certificate = issued[name] else { fatalError("no certificate is called \(name)") }
        return certificate
    }

    package func identity(_ name: String) -> ServerConfiguration.Identity {
        .init(
            certificateChain: .text(self[name].certificatePEM + authority.certificatePEM),
            privateKey: .text(self[name].privateKeyPEM))
    }

    package var roots: PEMSource { .text(authority.certificatePEM) }

    /// A file with the certificate that programs are to trust.
    package func rootsFile(in files: TemporaryFiles) throws -> String {
        try files.write(authority.certificatePEM, "roots.pem")
    }

    /// Files with a certificate, its key, and one with both, as haproxy wants it.
    package func write(
        _ name: String, in files: TemporaryFiles
    ) throws -> (certificate: String, key: String, both: String) {
        let issued = self[name]
        return (
            try files.write(issued.certificatePEM, "\(name).pem"), try files.write(issued.privateKeyPEM, "\(name).key"),
            try files.write(issued.certificatePEM + issued.privateKeyPEM, "\(name).both.pem")
        )
    }

    /// A server with an RSA and an ECDSA certificate, so that every suite can be agreed on.
    package func server(
        _ options: ProtocolOptions = .init(), clients: ServerConfiguration.ClientCertificates = .none,
        identities: [String] = ["p256", "rsa"], ticketKeys: consuming TicketKeys = .random(), ticketCount: Int = 2
    ) throws -> ServerContext {
        try ServerContext(
            ServerConfiguration(
                identities: identities.map(identity), options: options, clientCertificates: clients,
                ticketCount: ticketCount), ticketKeys: ticketKeys)
    }

    package func client(
        _ options: ProtocolOptions = .init(), identity: String? = nil, fragment: Int? = nil
    ) throws -> ClientContext {
        try ClientContext(
            ClientConfiguration(
                verification: .roots(roots), options: options, identity: identity.map(self.identity),
                maximumFragmentLength: fragment))
    }
}
