internal import COpenSSL
internal import Glibc
internal import TLSRecords

extension PEMSource {
    /// No chain of certificates is longer, in bytes.
    static let maximumLength = 1 << 20

    /// Lends the text as a memory BIO.
    func withBIO<R>(_ body: (OpaquePointer) throws(TLSConfigurationError) -> R) throws(TLSConfigurationError) -> R {
        switch storage {
        case .memory(let text):
            return try PEMSource.withBIO(text.bytes, body)
        case .file(let path):
            let bytes = try PEMSource.read(path)
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

    private static func read(_ path: String) throws(TLSConfigurationError) -> SecretBytes {
        func failure(_ number: Int32) -> TLSConfigurationError {
            TLSConfigurationError(
                code: .unreadableFile,
                message: "cannot read \(path): \(String(cString: strerror(number))); check the path and its permissions"
            )
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
        guard descriptor >= 0 else { throw failure(errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure(errno) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw TLSConfigurationError(code: .unreadableFile, message: "cannot read \(path): it is not a regular file")
        }
        guard status.st_size <= maximumLength else {
            throw TLSConfigurationError(
                code: .unreadableFile, message: "cannot read \(path): larger than 1 MiB, so it is no PEM file")
        }
        var failed: Int32?
        let bytes = SecretBytes(count: Int(status.st_size)) { buffer in
            var filled = 0
            while filled < buffer.count, let base = buffer.baseAddress {
                let n = Glibc.read(descriptor, base + filled, buffer.count - filled)
                if n < 0, errno == EINTR { continue }
                if n < 0 { failed = errno }
                guard n > 0 else { return }
                filled += n
            }
        }
        if let failed { throw failure(failed) }
        return bytes
    }
}
