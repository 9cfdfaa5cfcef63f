public import TLSRecords

extension CipherSuite {
    /// The name in OpenSSL's cipher lists.
    public var opensslName: String {
        switch self {
        case .aes128GCM, .aes256GCM, .chaCha20Poly1305: description
        case .ecdheECDSAWithAES128GCM: "ECDHE-ECDSA-AES128-GCM-SHA256"
        case .ecdheECDSAWithAES256GCM: "ECDHE-ECDSA-AES256-GCM-SHA384"
        case .ecdheRSAWithAES128GCM: "ECDHE-RSA-AES128-GCM-SHA256"
        case .ecdheRSAWithAES256GCM: "ECDHE-RSA-AES256-GCM-SHA384"
        case .ecdheRSAWithChaCha20Poly1305: "ECDHE-RSA-CHACHA20-POLY1305"
        case .ecdheECDSAWithChaCha20Poly1305: "ECDHE-ECDSA-CHACHA20-POLY1305"
        }
    }

    /// Reads a list of suites by IANA or OpenSSL name, separated by colons, commas or spaces.
    ///
    /// - Throws: `unsupportedCipherSuite` for a name that is unknown or whose records cannot be moved (CBC, RC4, CCM,
    ///   key exchange without forward secrecy), and for an empty list.
    public static func parse(list: String) throws(TLSConfigurationError) -> [CipherSuite] {
        var suites: [CipherSuite] = []
        for name in list.split(whereSeparator: { ":, ".contains($0) }) {
            let known = CipherSuite.allCases.first {
                $0.description == name.uppercased() || $0.opensslName == name.uppercased()
            }
            guard let known else {
                throw TLSConfigurationError(
                    code: .unsupportedCipherSuite,
                    message: "cipher suite '\(name)' is not supported; use ECDHE or TLS 1.3 suites with AES-GCM or "
                        + "ChaCha20-Poly1305: "
                        + CipherSuite.allCases.map(\.opensslName).joined(separator: ", "))
            }
            if !suites.contains(known) { suites.append(known) }
        }
        guard !suites.isEmpty else {
            throw TLSConfigurationError(
                code: .unsupportedCipherSuite, message: "the cipher list is empty; name at least one suite")
        }
        return suites
    }
}
