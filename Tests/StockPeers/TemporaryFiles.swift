import Foundation

/// Files for programs that want them. They go when this does.
package final class TemporaryFiles: Sendable {
    private let folder = NSTemporaryDirectory() + "baton-" + UUID().uuidString

    package init() throws {
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    package func path(_ name: String) -> String { folder + "/" + name }

    package func write(_ text: String, _ name: String) throws -> String {
        try text.write(toFile: path(name), atomically: true, encoding: .utf8)
        return path(name)
    }
}
