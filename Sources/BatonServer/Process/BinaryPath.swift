internal import Libc

/// The file that this process runs.
enum BinaryPath {
    /// Its path with every link followed, as it was at the start.
    static let atStart = now

    /// Whether that file is at `path` now.
    static func isRunning(_ path: String) -> Bool {
        guard let resolved = realpath(path, nil) else { return false }
        defer { free(resolved) }
        return String(cString: resolved) == now
    }

    /// The kernel's word: it follows the file when that is renamed.
    private static var now: String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = readlink(ChildProcess.thisBinary, &buffer, buffer.count - 1)
        guard count > 0 else { return CommandLine.arguments.first ?? "baton" }
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
