import SelfSigned
import StockPeers

/// The certificates that hosts show each other, made once a run.
enum HostCredentials {
    static let authority = try! CertificateAuthority(commonName: "Baton hosts")
    static let stranger = try! CertificateAuthority(commonName: "Somebody else")

    /// The settings of `migration` for a host of this name.
    static func settings(
        _ name: String, in files: TemporaryFiles, authority: CertificateAuthority = authority
    ) throws -> String {
        let issued = try authority.issue(for: [name])
        let certificate = try files.write(issued.certificatePEM, "\(name).pem")
        let key = try files.write(issued.privateKeyPEM, "\(name).key")
        let ca = try files.write(self.authority.certificatePEM, "ca.pem")
        return "  certificate: \(certificate)\n  key: \(key)\n  ca: \(ca)\n"
    }
}
