internal import BatonCore
internal import COpenSSL
internal import TLSRecords

extension PEMSource {
    /// Lends the text as a memory BIO.
    func withBIO<R>(_ body: (OpaquePointer) throws(TLSConfigurationError) -> R) throws(TLSConfigurationError) -> R {
        switch storage {
        case .memory(let text):
            return try PEMSource.withBIO(text.bytes, body)
        case .file(let path):
            let bytes = try SmallFile(path).read()
            return try PEMSource.withBIO(bytes, body)
        }
    }

    private static func withBIO<R>(
        _ text: borrowing SecretBytes, _ body: (OpaquePointer) throws(TLSConfigurationError) -> R
    ) throws(TLSConfigurationError) -> R {
        try text.withUnsafeBytes { (bytes) throws(TLSConfigurationError) in
            guard let bio = BIO_new_mem_buf(bytes.baseAddress, Int32(clamping: bytes.count)) else {
                throw TLSConfigurationError(code: .libraryFailure, message: "out of memory while reading PEM")
            }
            defer { BIO_free(bio) }
            return try body(bio)
        }
    }
}
