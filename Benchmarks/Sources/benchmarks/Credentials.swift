import CRival

/// The certificate and key that both stacks use.
struct Credentials {
    let certificate: String
    let key: String

    init() throws {
        let size = Int(RIVAL_PEM_SIZE)
        var certificate = [CChar](repeating: 0, count: size)
        var key = [CChar](repeating: 0, count: size)
        guard rival_certificate(&certificate, &key) == 1 else {
            throw BenchmarkError("OpenSSL made no certificate")
        }
        self.certificate = certificate.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        self.key = key.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }
}
