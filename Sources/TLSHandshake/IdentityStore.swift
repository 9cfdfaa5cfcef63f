internal import Synchronization

/// Certificates and keys that several contexts share: each file is read once, and held once. It keeps them as they were then;
/// make another to read them again.
public final class IdentityStore: Sendable {
    /// A certificate that could not be read again, so that the one before is used.
    package struct Failure: Sendable {
        package var chain: String
        package var key: String
        package var message: String
    }

    private let loaded = Mutex<[[String]: LoadedIdentity]>([:])
    private let former: Mutex<[[String]: LoadedIdentity]>
    private let kept = Mutex<[Failure]>([])

    /// Nothing is loaded.
    public init() { former = Mutex([:]) }

    /// Takes what has not changed from another store, and what has changed and is no good, too.
    package init(keeping former: IdentityStore) { self.former = Mutex(former.loaded.withLock { $0 }) }

    /// What is used as it was before, with the reason.
    package var failures: [Failure] { kept.withLock { $0 } }

    /// What was taken from the other store and is of no more use may be freed.
    package func forgetFormer() { former.withLock { $0 = [:] } }

    /// What is shown of a certificate.
    package func describe(
        _ identity: ServerConfiguration.Identity
    ) throws(TLSConfigurationError) -> CertificateDescription { try load(identity).description }

    /// The last second that a certificate is valid, since 1970; nil if it is not loaded.
    package func notAfter(_ identity: ServerConfiguration.Identity) -> Int64? {
        identity.files.flatMap { files in loaded.withLock { $0[files] } }?.term.validity.upperBound
    }

    /// What the responder of a certificate is to be asked; nil if nothing is, or the certificate is not loaded.
    package func inquiry(_ identity: ServerConfiguration.Identity) -> OCSPInquiry? {
        identity.files.flatMap { files in loaded.withLock { $0[files] } }?.inquiry
    }

    func load(_ identity: ServerConfiguration.Identity) throws(TLSConfigurationError) -> LoadedIdentity {
        guard let files = identity.files else { return try LoadedIdentity(identity) }
        if let known = loaded.withLock({ $0[files] }) { return known }
        let new = try read(identity, files)
        loaded.withLock { $0[files] = new }
        return new
    }

    private func read(
        _ identity: ServerConfiguration.Identity, _ files: [String]
    ) throws(TLSConfigurationError) -> LoadedIdentity {
        guard let before = former.withLock({ $0[files] }) else { return try LoadedIdentity(identity) }
        if before.isCurrent(identity) { return before }
        do throws(TLSConfigurationError) {
            return try LoadedIdentity(identity)
        } catch {
            kept.withLock {
                $0.append(Failure(chain: files[0], key: files[1], message: error.message))
            }
            return before
        }
    }
}
