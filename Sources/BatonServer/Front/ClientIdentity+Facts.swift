internal import BatonConfiguration
internal import BatonCore
internal import TLSHandshake
internal import TLSRecords

extension ClientIdentity {
    /// What the rules about clients are asked of a certificate.
    init(_ facts: ClientCertificateFacts) {
        var (dns, uris, addresses): ([String], [String], [IPAddress]) = ([], [], [])
        for name in facts.names {
            switch name {
            case .dns(let text): dns.append(text)
            case .uri(let text): uris.append(text)
            case .address(let text): if let address = IPAddress(text) { addresses.append(address) }
            case .email: break
            }
        }
        self.init(
            commonNames: facts.commonNames, dnsNames: dns, uris: uris, addresses: addresses, key: facts.keyDigest,
            issuer: facts.issuer, flaw: facts.flaw)
    }
}
