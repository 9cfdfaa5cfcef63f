internal import Foundation
internal import HummingbirdCore
internal import NIOCore
internal import NIOPosix

/// Where Hummingbird's own server listens, which must listen somewhere: a Unix socket in a folder of this user's alone.
final class PrivateSocket: Sendable {
    private let folder: String

    var path: String { folder + "/s" }

    init() throws {
        var failure: Int32 = 0
        // A path of a socket has 107 bytes at most.
        for parent in [NSTemporaryDirectory(), "/tmp"] where parent.utf8.count <= 80 {
            var template = Array("\(parent)/baton-XXXXXX".utf8CString)
            if let made = mkdtemp(&template) {
                folder = String(cString: made)
                return
            }
            failure = errno
        }
        throw MovableServerError.noTemporaryFolder(failure)
    }

    deinit {
        unlink(path)
        rmdir(folder)
    }

    /// Waits until somebody listens there.
    func isListenedAt(on group: any EventLoopGroup) async throws {
        while true {
            if let channel = try? await ClientBootstrap(group: group).connect(unixDomainSocketPath: path).get() {
                // The server closes it as well, and may be the first.
                try? await channel.close()
                return
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}
