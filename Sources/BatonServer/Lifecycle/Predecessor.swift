internal import Libc
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// The server before this one, as this one sees it. It may speak before there is anybody to hear it. Used on any thread.
final class Predecessor: Sendable {
    enum Word: Sendable {
        case lingers(Remainder)
        case stop(atOnce: Bool)
        /// Nothing is left to it. This is its last word.
        ///
        /// - Parameter totals: what it has counted; `nil` if it ended without a word.
        /// - Parameter succeeded: if it is another service.
        case ended(totals: WorkerReport?, counts: FrontCounts?, succeeded: SucceededService?)
    }

    private struct State {
        var hear: (@Sendable (Word) -> Void)?
        /// What nobody has heard yet.
        var waiting: [Word] = []
        var hasEnded = false
        /// Whether it knows all of `SuccessorMessage`.
        var knowsMore = false
    }

    /// Where it hands over its sockets.
    let path: String
    /// Fulfilled when it accepts no more; fails when it was told to stop before, or this server was.
    var turn: EventLoopFuture<Void> { promise.futureResult }
    private let promise: EventLoopPromise<Void>
    private let link = Mutex<JSONLink<SuccessorMessage>?>(nil)
    private let state = Mutex(State())

    /// Hears the server that has started this process, at standard input.
    static func meet(at path: String) async throws -> Predecessor {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let predecessor = Predecessor(path, loop)
        let descriptor = fcntl(0, F_DUPFD_CLOEXEC, 3)
        guard descriptor >= 0 else { throw RuntimeError.system("cannot speak with the server before this one") }
        let link = try await JSONLines<PredecessorMessage, SuccessorMessage>.open(descriptor, on: loop) { message in
            predecessor.heard(message)
        } ended: {
            predecessor.pass(.ended(totals: nil, counts: nil, succeeded: nil))
            predecessor.promise.succeed()
        }.get()
        predecessor.link.withLock { $0 = link }
        return predecessor
    }

    private init(_ path: String, _ loop: any EventLoop) {
        self.path = path
        promise = loop.makePromise()
    }

    // MARK: What it is told

    /// - Parameter version: the version that it has told with what it leaves.
    func isOfVersion(_ version: String?) { state.withLock { $0.knowsMore = version != nil } }

    /// Tells it, if it knows of such words.
    func say(_ message: SuccessorMessage) {
        switch message {
        case .ready, .failed: break
        case .accepting, .workers, .stopping: guard state.withLock({ $0.knowsMore }) else { return }
        }
        link.withLock { $0 }?.send(message)
    }

    /// Says why this server cannot serve, and waits until that has been sent.
    func sayFailed(_ why: String) async {
        guard let link = link.withLock({ $0 }), let line = JSONLink<SuccessorMessage>.line(.failed(why)) else { return }
        try? await link.channel.writeAndFlush(line).get()
    }

    /// This server does not wait for its turn any more.
    func giveUpTurn(_ why: String) { promise.fail(RuntimeError(.processFailed, why)) }

    // MARK: What it says

    /// From now on what it says is heard on `loop`, and what it has said.
    func introduce(on loop: any EventLoop, _ hear: @escaping @Sendable (Word) -> Void) {
        let hear: @Sendable (Word) -> Void = { word in loop.execute { hear(word) } }
        state.withLock { state in
            for word in state.waiting { hear(word) }
            state.waiting = []
            state.hear = hear
        }
    }

    private func heard(_ message: PredecessorMessage) {
        switch message {
        case .accept: promise.succeed()
        case .ended(let totals, let counts, let succeeded):
            pass(.ended(totals: totals, counts: counts, succeeded: succeeded))
        case .lingers(let remainder): pass(.lingers(remainder))
        case .stop(let atOnce):
            giveUpTurn("the server was told to stop")
            pass(.stop(atOnce: atOnce))
        }
    }

    private func pass(_ word: Word) {
        state.withLock { state in
            // Its last word comes before the end of the link.
            guard !state.hasEnded else { return }
            if case .ended = word { state.hasEnded = true }
            if let hear = state.hear { hear(word) } else { state.waiting.append(word) }
        }
    }
}
