internal import CLinuxSockets
internal import Foundation
internal import Libc
internal import Synchronization

/// A front's link to the keeper, its parent: descriptor 3.
final class KeeperLink: @unchecked Sendable {
    /// What a front begins with.
    struct Given {
        var activated: [ActivatedSocket] = []
        var privileges: CInt?
        /// What the front before this one has left; `nil`: this one takes no dead one's place.
        var left: (kept: [CInt], state: [UInt8])?
        var workers: [(worker: KeptWorker, link: CInt)] = []
        var deaths = ProcessDeaths()
        /// Of the service, in their order.
        var signals: [CInt] = []
        /// The keeper's process, which is the service's.
        var pid: Int32 = 0
        /// Whether the keeper knows how to hand memory over.
        var handsOver = false
        /// Whether the keeper knows how to hand everything to another service.
        var handsElsewhere = false
    }

    /// Who hears what the keeper says later, on a thread of the link's.
    struct Receivers: Sendable {
        var signal: @Sendable (CInt) -> Void
        var worker: @Sendable (KeptWorker, CInt) -> Void
        var deaths: @Sendable (ProcessDeaths) -> Void
        /// Whether the front does its work still.
        var asked: @Sendable () -> Void
    }

    private struct Turns {
        var last: UInt32 = 0
        var waiting: [UInt32: Start] = [:]
        var settling: [UInt32: @Sendable () -> Void] = [:]
        /// Of processes.
        var endings: [UInt32: ProcessEnding] = [:]
        var watchers: [UInt32: @Sendable (ProcessEnding) -> Void] = [:]
    }

    private final class Start: Sendable {
        let done = DispatchSemaphore(value: 0)
        let result = Mutex<Result<ChildProcess, SystemCode>?>(nil)
    }

    static let descriptor: CInt = 3
    /// How long room in the keeper's queue is waited for before the message is tried again, milliseconds.
    private static let retryInterval: CInt = 1_000
    private let turns = Mutex(Turns())
    private let sending = Mutex(())

    /// - Throws: `processFailed` if this process has not been started by a keeper.
    init() throws(RuntimeError) {
        var kind: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        guard getsockopt(Self.descriptor, SOL_SOCKET, SO_TYPE, &kind, &length) == 0,
            kind == SocketKind.sequencedPackets, fcntl(Self.descriptor, F_SETFD, FD_CLOEXEC) == 0
        else { throw RuntimeError(.processFailed, "serve-front is started by baton serve; start that instead") }
    }

    /// Says what this front is, and waits for what it begins with.
    func open(_ options: ServeOptions) throws(RuntimeError) -> Given {
        guard let file = Program.ownFile() else { throw .system("cannot open this program's file") }
        // A test may have a program that reads none.
        let readsStates = (try? FaultPoint.reach("state")) == nil ? [] : [KeeperState.version]
        send(
            .hello(
                name: options.program.name, arguments: options.arguments, readsStates: readsStates, answers: true),
            owning: file)
        var given = Given()
        var kept: [CInt] = []
        var state: [UInt8]?
        while case .message(let message) = KeeperChannel.receive(from: Self.descriptor, waits: true) {
            let descriptor = message.onlyDescriptor()
            switch (Self.event(message), descriptor) {
            case (.activated(let name), let descriptor?):
                if let socket = ActivatedSocket(passedAs: name, descriptor) { given.activated.append(socket) }
            case (.privileges, let descriptor?): given.privileges = descriptor
            case (.kept, let descriptor?): kept.append(descriptor)
            case (.state, let descriptor?):
                state = MemoryFile.read(descriptor)
                close(descriptor)
            case (.worker(let worker), let descriptor?): given.workers.append((worker, descriptor))
            case (.welcome(let pid, let isRestored, let deaths), _):
                given.pid = pid
                given.deaths = deaths
                if isRestored, let state { given.left = (kept, state) }
                return given
            case (.handsOver, _): given.handsOver = true
            case (.handsElsewhere, _): given.handsElsewhere = true
            case (.signal(let number), _):
                // Nothing is there yet to be ended in order.
                if Signals.stops(number) { ProcessExit.leave(128 + number) }
                given.signals.append(number)
            default: if let descriptor { close(descriptor) }
            }
        }
        throw RuntimeError(.processFailed, "the main process of the server is gone")
    }

    private static func event(_ message: KeeperChannel.Message) -> KeeperEvent? {
        try? JSONDecoder().decode(KeeperEvent.self, from: Data(message.bytes))
    }

    /// Hears the keeper from now on. When that is gone, this process ends at once: another service may be about to start.
    func listen(_ receivers: Receivers) {
        startThread("baton-keeper") { [self] in
            while case .message(let message) = KeeperChannel.receive(from: Self.descriptor, waits: true) {
                let descriptor = message.onlyDescriptor()
                switch (Self.event(message), descriptor) {
                case (.started(let turn, let process, let pid), let link?):
                    settle(turn, .success(ChildProcess(process: process, pid: pid, link: link)))
                    continue
                case (.worker(let worker), let link?):
                    receivers.worker(worker, link)
                    continue
                case (.failed(let turn, let code), _): settle(turn, .failure(SystemCode(code)))
                case (.ended(let process, let status), _): ended(process, ProcessEnding(status: status))
                case (.done(let turn), _): turns.withLock { $0.settling.removeValue(forKey: turn) }?()
                case (.signal(let number), _): receivers.signal(number)
                case (.deaths(let deaths), _): receivers.deaths(deaths)
                case (.areYouThere, _): receivers.asked()
                default: break
                }
                if let descriptor { close(descriptor) }
            }
            ProcessExit.leave(1, saying: "baton: the main process of the server is gone")
        }
    }

    private func settle(_ turn: UInt32, _ result: Result<ChildProcess, SystemCode>) {
        guard let start = turns.withLock({ $0.waiting.removeValue(forKey: turn) }) else {
            if case .success(let child) = result { close(child.link) }
            return
        }
        start.result.withLock { $0 = result }
        start.done.signal()
    }

    private func ended(_ process: UInt32, _ ending: ProcessEnding) {
        let watcher = turns.withLock { turns in
            let watcher = turns.watchers.removeValue(forKey: process)
            if watcher == nil { turns.endings[process] = ending }
            return watcher
        }
        watcher?(ending)
    }

    // MARK: Processes

    /// Has a process started. It waits for the keeper, which does nothing else.
    ///
    /// - Parameter extra: a descriptor that a helper has as its 3; ours stays open.
    func start(_ order: StartOrder, extra: CInt? = nil) throws(RuntimeError) -> ChildProcess {
        let start = Start()
        let turn = turns.withLock { turns in
            turns.last &+= 1
            turns.waiting[turns.last] = start
            return turns.last
        }
        let result = send(.start(turn: turn, order), owning: extra.map { fcntl($0, F_DUPFD_CLOEXEC, 3) })
        if result != 0 { settle(turn, .failure(SystemCode(-result))) }
        start.done.wait()
        switch start.result.withLock({ $0 }) {
        case .success(let child): return child
        case .failure(let code):
            if case .elsewhere = order.role {
                throw RuntimeError(.processFailed, "the new service is gone: \(code.text)")
            }
            let reason = code.value == ENOEXEC ? "it is no program for this machine" : code.text
            throw RuntimeError(.processFailed, "cannot start \(order.binary ?? BinaryPath.atStart): \(reason)")
        case nil: throw RuntimeError(.processFailed, "cannot start a process")
        }
    }

    /// Calls `ended` once, on a thread of the link's, with how the process has ended.
    func watch(_ process: UInt32, _ ended: @escaping @Sendable (ProcessEnding) -> Void) {
        let ending = turns.withLock { turns in
            let ending = turns.endings.removeValue(forKey: process)
            if ending == nil { turns.watchers[process] = ended }
            return ending
        }
        if let ending { ended(ending) }
    }

    /// Sends a signal to one of the processes that the keeper has started for this front.
    func signal(_ process: UInt32, _ number: CInt) { send(.signal(process: process, number: number)) }

    // MARK: The service

    /// Leaves with the keeper what a front needs that takes the place of this one.
    ///
    /// - Parameters:
    ///   - descriptors: of which copies are kept; `nil`: those that it has.
    ///   - state: what they are.
    func deposit(_ descriptors: [CInt]?, _ state: UnsafeRawBufferPointer) {
        guard let file = MemoryFile.make("baton-front", state) else { return }
        for descriptor in descriptors ?? [] { send(.keep, owning: fcntl(descriptor, F_DUPFD_CLOEXEC, 3)) }
        send(.state(isAlone: descriptors == nil), owning: file)
    }

    /// Waits until the keeper has done all that it was told.
    func settle() {
        let done = DispatchSemaphore(value: 0)
        ask({ .wait(turn: $0) }, done: { done.signal() })
        done.wait()
    }

    /// Has what these workers keep in memory prepared at those of the front that is to replace this one.
    ///
    /// - Parameter done: called when it is, or cannot be, or takes too long, on a thread of the link's.
    func prepareHandOver(of workers: [UInt32], done: @escaping @Sendable () -> Void) {
        ask({ .prepare(turn: $0, workers: workers) }, done: done)
    }

    /// Has these workers give up what they keep in memory, for those of the front that has replaced this one.
    ///
    /// - Parameter done: called when these have it, as far as that can be, on a thread of the link's.
    func handOver(_ workers: [UInt32], done: @escaping @Sendable () -> Void) {
        ask({ .handOver(turn: $0, workers: workers) }, done: done)
    }

    private func ask(_ request: (UInt32) -> KeeperRequest, done: @escaping @Sendable () -> Void) {
        let turn = turns.withLock { turns in
            turns.last &+= 1
            turns.settling[turns.last] = done
            return turns.last
        }
        guard send(request(turn)) != 0 else { return }
        turns.withLock { $0.settling.removeValue(forKey: turn) }?()
    }

    /// A signal of the service has been passed on to this front's own.
    func hasHeard() { send(.heard) }
    func serves() { send(.serves) }
    func leaves() { send(.leaves) }
    func isThere() { send(.isThere) }
    func notify(_ notification: ServiceNotification) { send(.notify(notification)) }

    /// Sends a message, with a descriptor that is taken over.
    ///
    /// - Returns: 0 or a negative errno value.
    @discardableResult
    private func send(_ request: KeeperRequest, owning attached: CInt? = nil) -> CInt {
        defer { if let attached, attached >= 0 { close(attached) } }
        guard let bytes = try? JSONEncoder().encode(request) else { return -EINVAL }
        let message = Array(bytes)
        let descriptors = attached.map { [$0] } ?? []
        return sending.withLock { _ in
            while true {
                let result = message.withUnsafeBytes {
                    baton_send_message(
                        Self.descriptor, $0.baseAddress, $0.count, nil, 0, descriptors, CInt(descriptors.count))
                }
                // Without a keeper this process is about to end.
                guard result == -EAGAIN else { return result }
                var polled = pollfd(fd: Self.descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&polled, 1, Self.retryInterval)
            }
        }
    }
}
