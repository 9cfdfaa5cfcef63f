/// The form a TLS 1.2 connection's exporter secret has (RFC 5705): master secret, client random, server random.
package enum TLS12Exporter {
    package static let masterSecretLength = 48
    package static let length = masterSecretLength + 32 + 32
}
