internal import COpenSSL
internal import TLSRecords

/// Everything the handshakes of a client share. Making one reads the files of its configuration; after that it does no
/// I/O, and any number of handshakes may use it at once.
public final class ClientContext: Sendable {
    let library: LibraryContext
    let verifiesServer: Bool
    let verifier: CertificateVerifier?
    let peerDetail: PeerCertificateDetail

    /// What servers are verified against: contexts with the same roots have the same, whatever process they live in.
    let verification: [UInt8]

    /// Checks a configuration and makes a context of it.
    public init(_ configuration: ClientConfiguration) throws(TLSConfigurationError) {
        library = try LibraryContext(.client, configuration.options)
        verifier = configuration.verifier
        peerDetail = configuration.peerCertificateDetail
        let context = library.pointer
        // What an application decided holds for it alone.
        let decision = configuration.verifier == nil ? [] : (0..<32).map { _ in UInt8.random(in: 0...255) }
        switch configuration.verification {
        case .systemRoots:
            verifiesServer = true
            verification = [1] + decision
            guard SSL_CTX_set_default_verify_paths(context) == 1 else {
                _ = LibraryError.takeAll()
                throw TLSConfigurationError(
                    code: .libraryFailure,
                    message: "the system's root certificates cannot be used; install ca-certificates, or name the roots"
                )
            }
        case .roots(let source):
            verifiesServer = true
            verification = [2] + decision + (try library.trust(source))
        case .none:
            verifiesServer = false
            verification = [0] + decision
        }
        SSL_CTX_set_verify(context, looksAtServer ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nil)
        if verifier != nil { library.verifyPeers() }
        if let identity = configuration.identity { try LoadedIdentity(identity).check(in: library) }
        let offered = configuration.options.applicationProtocols.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
        if !offered.isEmpty { SSL_CTX_set_alpn_protos(context, offered, UInt32(offered.count)) }
        if let length = configuration.maximumFragmentLength {
            let codes: [Int: UInt8] = [512: 1, 1_024: 2, 2_048: 3, 4_096: 4]
            guard let code = codes[length] else {
                throw TLSConfigurationError(
                    code: .badFragmentLength,
                    message: "maximum fragment length \(length) is not possible; use 512, 1024, 2048 or 4096")
            }
            SSL_CTX_set_tlsext_max_fragment_length(context, code)
        }
        baton_ssl_ctx_report_sessions(context)
        SSL_CTX_sess_set_new_cb(context) { ssl, session in
            // 1 keeps the reference that comes with the call.
            guard let ssl, let session, let ours = LibrarySession.of(ssl) else { return 0 }
            ours.newSession = ClientSession(session, identity: ours.expectedIdentity)
            return 1
        }
    }

    /// Whether somebody decides by the server's certificate.
    var looksAtServer: Bool { verifiesServer || verifier != nil }
}
