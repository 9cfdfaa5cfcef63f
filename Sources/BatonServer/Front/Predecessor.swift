internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// What is left to a server that has been replaced.
struct Remainder: Codable, Sendable, Equatable {
    var pid: Int32
    var connections: Int
    /// The processes that have them, which do not answer.
    var workers: [Int32]

    /// Why the next upgrade cannot come, and what to do.
    var obstacle: String {
        let (whose, they) = workers.count == 1 ? ("worker", "it") : ("workers", "them")
        return "\(whose) \(workers.map { "\($0)" }.joined(separator: ", ")) of the server before this one (pid \(pid)) "
            + "did not answer when \(they) had to hand over \(connections) connections; end \(they) (SIGKILL) or let \(they) "
            + "go on (SIGCONT), then upgrade"
    }
}

/// The server before this one, as this one sees it. It may speak before there is a front to hear it.
final class Predecessor: Sendable {
    enum Word: Sendable {
        case lingers(Remainder)
        case stop(atOnce: Bool)
        /// - Parameter totals: what it has counted; `nil` if it ended without a word.
        case ended(totals: WorkerReport?, counts: FrontCounts?)
    }

    /// Where it hands over its sockets.
    let path: String
    /// Fulfilled when it accepts no more; fails when it was told to stop before.
    let turn: EventLoopPromise<Void>
    private let link = Mutex<JSONLink<SuccessorMessage>?>(nil)
    private let state = Mutex<(front: Front?, waiting: [Word])>((nil, []))

    /// Hears the server that has started this process, at standard input.
    static func meet(at path: String) async throws -> Predecessor {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let predecessor = Predecessor(path, loop)
        let descriptor = fcntl(0, F_DUPFD_CLOEXEC, 3)
        guard descriptor >= 0 else { throw RuntimeError.system("cannot speak with the server before this one") }
        let link = try await JSONLines<PredecessorMessage, SuccessorMessage>.open(descriptor, on: loop) { message in
            predecessor.heard(message)
        } ended: {
            predecessor.pass(.ended(totals: nil, counts: nil))
            predecessor.turn.succeed()
        }.get()
        predecessor.link.withLock { $0 = link }
        return predecessor
    }

    private init(_ path: String, _ loop: any EventLoop) {
        self.path = path
        turn = loop.makePromise()
    }

    func say(_ message: SuccessorMessage) { link.withLock { $0 }?.send(message) }

    /// Says why this server cannot serve, and waits until that has been sent.
    func sayFailed(_ why: String) async {
        guard let link = link.withLock({ $0 }), let line = JSONLink<SuccessorMessage>.line(.failed(why)) else { return }
        try? await link.channel.writeAndFlush(line).get()
    }

    /// From now on `front` hears what this says, and what it has said.
    func introduce(_ front: Front) {
        let waiting = state.withLock { state in
            defer { state = (front, []) }
            return state.waiting
        }
        front.loop.execute { for word in waiting { front.heard(word) } }
    }

    private func heard(_ message: PredecessorMessage) {
        switch message {
        case .accept: turn.succeed()
        case .ended(let totals, let counts): pass(.ended(totals: totals, counts: counts))
        case .lingers(let remainder): pass(.lingers(remainder))
        case .stop(let atOnce):
            turn.fail(RuntimeError(.processFailed, "the server was told to stop"))
            pass(.stop(atOnce: atOnce))
        }
    }

    private func pass(_ word: Word) {
        let front = state.withLock { state in
            if state.front == nil { state.waiting.append(word) }
            return state.front
        }
        if let front { front.loop.execute { front.heard(word) } }
    }
}

extension Front {
    /// The server before this one has said something.
    fileprivate func heard(_ word: Predecessor.Word) {
        switch word {
        case .lingers(let remainder):
            self.remainder = remainder
            guard let (_, asked) = postponedUpgrade else { return }
            postponedUpgrade = nil
            refuseUpgrade(remainder.obstacle, asked)
        case .stop(let atOnce): stop(atOnce: atOnce)
        case .ended(let totals, let counts):
            // Its word comes before the end of the link.
            guard predecessor != nil else { return }
            tally.withLock { $0.predecessorEnded(totals, counts) }
            predecessorEnded()
        }
    }

    /// Nothing is left to the server before this one.
    private func predecessorEnded() {
        predecessor = nil
        remainder = nil
        endIfDone()
        guard let (binary, asked) = postponedUpgrade else { return }
        postponedUpgrade = nil
        upgrade(binary: binary, asked: asked)
    }

    /// Tells it, if it knows of such words.
    func tellPredecessor(_ message: SuccessorMessage) {
        if predecessorKnowsMore { predecessor?.say(message) }
    }
}
