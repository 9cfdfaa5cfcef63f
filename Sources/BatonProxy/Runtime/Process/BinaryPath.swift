internal import Glibc

/// The file that this process runs.
enum BinaryPath {
    /// Its path with every link followed, as it was at the start.
    static let atStart: String = {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = readlink(ChildProcess.thisBinary, &buffer, buffer.count - 1)
        guard count > 0 else { return CommandLine.arguments.first ?? "baton" }
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }()

    /// Whether that file is at `path` now.
    static func isRunning(_ path: String) -> Bool {
        var there = stat()
        var here = stat()
        return stat(path, &there) == 0 && stat(ChildProcess.thisBinary, &here) == 0 && there.st_dev == here.st_dev
            && there.st_ino == here.st_ino
    }
}
