internal import COpenSSL

/// The certificates of one PEM text, in order.
final class CertificateList: @unchecked Sendable {
    // Who shares a list only reads it; whoever takes from it has it alone.
    private let stack: OpaquePointer

    /// - Throws: `badPEM` if there is none, or one of them cannot be read.
    init(_ source: PEMSource) throws(TLSConfigurationError) {
        guard let stack = OPENSSL_sk_new_null() else {
            throw TLSConfigurationError(code: .libraryFailure, message: "out of memory while reading certificates")
        }
        self.stack = stack
        try source.withBIO { (bio) throws(TLSConfigurationError) in
            ERR_clear_error()
            while let certificate = PEM_read_bio_X509(bio, nil, { _, _, _, _ in -1 }, nil) {
                OPENSSL_sk_push(stack, UnsafeRawPointer(certificate))
            }
            // The end of the text shows as 'no start line'; anything else is a certificate that is damaged.
            let error = ERR_peek_last_error()
            let isEnd = error & 0x7F_FFFF == UInt(PEM_R_NO_START_LINE) && error >> 23 & 0xFF == UInt(ERR_LIB_PEM)
            ERR_clear_error()
            guard isEnd, OPENSSL_sk_num(stack) > 0 else {
                throw TLSConfigurationError(
                    code: .badPEM,
                    message: OPENSSL_sk_num(stack) == 0
                        ? "\(source.name) holds no certificate that can be read; it must be PEM, beginning with "
                            + "'-----BEGIN CERTIFICATE-----'"
                        : "certificate \(OPENSSL_sk_num(stack) + 1) in \(source.name) is damaged; "
                            + "copy the file again from where it was issued")
            }
        }
    }

    /// None.
    init() throws(TLSConfigurationError) {
        guard let stack = OPENSSL_sk_new_null() else {
            throw TLSConfigurationError(code: .libraryFailure, message: "out of memory while reading certificates")
        }
        self.stack = stack
    }

    deinit { CertificateList.free(stack) }

    var count: Int { Int(OPENSSL_sk_num(stack)) }

    /// Lends the certificate at `index`, an `X509 *`.
    subscript(index: Int) -> OpaquePointer? { OPENSSL_sk_value(stack, Int32(index)).map { OpaquePointer($0) } }

    /// Gives the first certificate to the caller.
    func takeFirst() -> OpaquePointer? { OPENSSL_sk_shift(stack).map { OpaquePointer($0) } }

    /// A new stack with references to the certificates that are left, the caller's to free.
    func takeStack() -> OpaquePointer { X509_chain_up_ref(stack) ?? OPENSSL_sk_new_null() }

    static func free(_ stack: OpaquePointer?) {
        OPENSSL_sk_pop_free(stack) { X509_free(OpaquePointer($0)) }
    }
}
