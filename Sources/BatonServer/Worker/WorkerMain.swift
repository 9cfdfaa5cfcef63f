internal import Libc
internal import Logging
internal import NIOCore
internal import NIOPosix

/// `baton serve-worker`, which only a front starts.
package enum WorkerMain {
    /// Serves until the last connection has gone, the front having said so or being gone.
    ///
    /// - Throws: `RuntimeError` when standard input is no control link.
    package static func run() async throws {
        var kind: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        guard getsockopt(0, SOL_SOCKET, SO_TYPE, &kind, &length) == 0 else {
            throw RuntimeError(.processFailed, "serve-worker is started by baton serve; start that instead")
        }
        let descriptor = fcntl(0, F_DUPFD_CLOEXEC, 3)
        ServeLog.bootstrap()
        FaultPoint.tryForbidden(Logger(label: "baton.worker"))
        try FaultPoint.reach("worker")
        #if DEBUG
            EngineFault.arm()
        #endif
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let worker = Worker(loop: group.next())
        Signals().hear { number in
            guard Signals.stops(number) else { return }
            worker.loop.execute { worker.mustStop() }
        }
        try await worker.loop.flatSubmit { worker.meet(descriptor) }.get()
        WorkerKeeperLink.listen { descriptor in
            worker.loop.execute { worker.meetNext(descriptor) }
        } stopped: {
            worker.loop.execute { worker.mustStopAlone() }
        } left: { message, descriptors in
            worker.loop.execute { worker.relays.hear(message, descriptors) }
        } ended: {
            worker.loop.execute { worker.keeperEnded() }
        }
        try await worker.ended.futureResult.get()
    }
}
