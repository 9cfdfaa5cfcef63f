internal import Libc
internal import Logging
internal import NIOCore
internal import NIOPosix

/// `baton serve-migration`, which only a front starts: the link to other hosts, without privileges.
package enum MigrationMain {
    /// Serves until the front is gone, and what is under way has ended. Standard input is the link to the front, descriptor
    /// 3 the socket to the privileged process.
    ///
    /// - Throws: `RuntimeError` when they are not.
    package static func run(isConfined: Bool) async throws {
        for descriptor: CInt in [0, 3] {
            var kind: CInt = 0
            var length = socklen_t(MemoryLayout<CInt>.size)
            guard getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &kind, &length) == 0 else {
                throw RuntimeError(.processFailed, "serve-migration is started by baton serve; start that instead")
            }
        }
        guard isConfined else { throw NetworkMain.confine(keeping: []) }
        _ = fcntl(3, F_SETFD, FD_CLOEXEC)
        let descriptor = fcntl(0, F_DUPFD_CLOEXEC, 4)
        ServeLog.bootstrap()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let process = MigrationProcess(network: 3, loop: loop)
        try await loop.flatSubmit {
            JSONLines<MigrationOrder, MigrationEvent>.open(descriptor, on: loop) { order in
                process.receive(order)
            } ended: {
                process.frontEnded()
            }.map { process.use($0) }
        }.get()
        try await process.ended.futureResult.get()
    }
}
