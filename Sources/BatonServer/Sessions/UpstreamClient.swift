internal import BatonConfiguration
internal import BatonCore
internal import BatonNIO
internal import Handoff
internal import TLSHandshake
internal import TLSRecords

/// What an upstream is to know of the client whose connection it gets.
struct UpstreamClient {
    /// The protocol to offer by ALPN; nil: none.
    let applicationProtocol: String?
    /// Its greeting, which the client has had from the front; nil: it says nothing first.
    let greeting: UpstreamGreeting?
    /// By which the upstream's addresses are ordered; nil: by its balance.
    var affinity: UInt64? { metadata.affinity }
    /// The client's address; nil: it has none.
    var source: IPAddress? { metadata.source?.address }
    private let metadata: ParcelMetadata
    private let info: ConnectionInfo?

    init(_ handler: ConnectionHandler) {
        metadata = handler.metadata
        info = handler.info
        // PostgreSQL takes TLS at once only with its own protocol, which its clients do not always offer.
        applicationProtocol =
            metadata.startTLS == .postgres ? PlainPreface.Kind.postgresProtocol : info?.applicationProtocol
        greeting = metadata.startTLS.flatMap(UpstreamGreeting.init)
    }

    /// The PROXY protocol header; nil: the upstream gets none.
    func header(for upstream: Upstream) -> [UInt8]? {
        guard let version = upstream.proxyProtocol else { return nil }
        var ends: ProxyProtocolHeader.Endpoints?
        if let source = metadata.source, let destination = metadata.destination {
            ends = .init(source: source, destination: destination)
        }
        var extensions = ProxyProtocolHeader.Extensions()
        let wanted = Set(upstream.proxyProtocolExtensions)
        if wanted.contains(.alpn) { extensions.applicationProtocol = info?.applicationProtocol }
        // A listener's peer may be the TLS server: the name is ours then, and it is no TLS client.
        if wanted.contains(.authority), info?.role == .server { extensions.authority = info?.serverName }
        if wanted.contains(.uniqueID) { extensions.uniqueID = metadata.uniqueID }
        if wanted.contains(.ssl), let info, info.role == .server { extensions.security = .init(info) }
        if !wanted.isDisjoint(with: ProxyProtocolExtension.ofCertificates), info?.role == .server {
            let certificates = metadata.certificates
            if wanted.contains(.certificateSignature) { extensions.security?.signature = certificates.signature }
            if wanted.contains(.certificateKey) { extensions.security?.key = certificates.key }
            if wanted.contains(.clientCertificate) {
                extensions.security?.certificate?.der = certificates.certificate
            }
            if wanted.contains(.clientNames) { extensions.names = certificates.names }
            extensions.nameType = UInt8(clamping: upstream.proxyProtocolNameType)
        }
        return ProxyProtocolHeader(endpoints: ends, extensions: extensions).encoded(version)
    }
}

extension ProxyProtocolHeader.Security {
    fileprivate init(_ info: ConnectionInfo) {
        self.init(version: "TLSv\(info.version)", cipher: info.suite.opensslName)
        guard let shown = info.peerCertificate else { return }
        let name = CommonName(subject: shown.subject, isCut: shown.subject.utf8.count >= PeerCertificate.subjectLimit)
        certificate = .init(
            commonName: name?.text,
            // Not asked to verify it: it has not been verified.
            verifyResult: info.verifyResult.map { UInt32(bitPattern: $0) } ?? 1, isOfThisConnection: !info.isResumed)
    }
}
