package import BatonCore

/// The write keys of a TLS 1.2 connection's two sides, each the key followed by its implicit nonce.
package struct TLS12Keys: ~Copyable, Sendable {
    package var client: SecretBytes
    package var server: SecretBytes

    package init(client: consuming SecretBytes, server: consuming SecretBytes) {
        self.client = client
        self.server = server
    }
}
