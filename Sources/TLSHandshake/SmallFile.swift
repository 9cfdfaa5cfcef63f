internal import BatonCore
internal import Libc
internal import TLSRecords

/// A file of certificates, keys, revocation lists or the like.
package struct SmallFile: Sendable {
    /// No chain of certificates and no reasonable revocation list is longer, in bytes.
    package static let maximumLength = 1 << 20

    let path: String
    var maximumLength: Int

    package init(_ path: String, maximumLength: Int = SmallFile.maximumLength) {
        self.path = path
        self.maximumLength = maximumLength
    }

    /// Tells one content of a path from another without reading it.
    package struct Stamp: Equatable, Sendable {
        private let device: UInt
        private let node: UInt
        private let size: Int
        private let modified: [Int]

        fileprivate init(_ status: stat) {
            device = UInt(status.st_dev)
            node = UInt(status.st_ino)
            size = status.st_size
            modified = [
                status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec,
            ]
        }
    }

    /// Nil if there is no file.
    package var stamp: Stamp? {
        var status = stat()
        return stat(path, &status) == 0 ? Stamp(status) : nil
    }

    /// Whether every user of the machine may read it.
    var isReadableByAll: Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IROTH != 0
    }

    /// Whether every user of the machine may read or write it.
    var isOpenToAll: Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & (S_IROTH | S_IWOTH) != 0
    }

    func read() throws(TLSConfigurationError) -> SecretBytes {
        // Without O_NONBLOCK a FIFO would be waited for.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
        guard descriptor >= 0 else { throw failure(errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure(errno) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw TLSConfigurationError(code: .unreadableFile, message: "cannot read \(path): it is not a regular file")
        }
        guard status.st_size <= maximumLength else {
            throw TLSConfigurationError(
                code: .unreadableFile,
                message:
                    "cannot read \(path): it is larger than \(maximumLength >> 10) KiB; check that it is the right file"
            )
        }
        var failed: Int32?
        let bytes = SecretBytes(count: Int(status.st_size)) { buffer in
            var filled = 0
            while filled < buffer.count, let base = buffer.baseAddress {
                let n = Libc.read(descriptor, base + filled, buffer.count - filled)
                if n < 0, errno == EINTR { continue }
                if n < 0 { failed = errno }
                guard n > 0 else { return }
                filled += n
            }
        }
        if let failed { throw failure(failed) }
        return bytes
    }

    private func failure(_ number: Int32) -> TLSConfigurationError {
        TLSConfigurationError(
            code: .unreadableFile,
            message: "cannot read \(path): \(String(cString: strerror(number))); check the path and its permissions")
    }
}
