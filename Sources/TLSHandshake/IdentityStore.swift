internal import Synchronization

/// Certificates and keys that several contexts share: each file is read once, and held once. It keeps them as they were then;
/// make another to read them again.
public final class IdentityStore: Sendable {
    private let loaded = Mutex<[[String]: LoadedIdentity]>([:])

    /// Nothing is loaded.
    public init() {}

    func load(_ identity: ServerConfiguration.Identity) throws(TLSConfigurationError) -> LoadedIdentity {
        guard let files = identity.files else { return try LoadedIdentity(identity) }
        if let known = loaded.withLock({ $0[files] }) { return known }
        let new = try LoadedIdentity(identity)
        loaded.withLock { $0[files] = new }
        return new
    }
}
