internal import BatonCore
internal import CLinuxSockets
internal import Libc

/// The main process of a server, from its start to its end. It starts the front, and at a front's word all other processes;
/// it keeps what a front needs that takes the place of one that has died, and the links by which such a front finds the
/// workers. It parses nothing that a peer has sent, and has no TLS and no event loop but poll(2).
///
/// An upgrade replaces the front; when that is done the keeper executes the new program in its own place (`KeeperState`), so
/// that the service has one process id.
///
/// One thread; nothing here waits but `poll`.
final class Keeper {
    /// A process that was started at a front's word, and is no front that has come to serve.
    struct Child {
        let process: UInt32
        let pid: pid_t
        let role: StartOrder.Role
        let line: ServerLine
        /// The front that hears of its end; `nil`: that is gone.
        var owner: KeptFront?
        /// A worker's link to the keeper.
        var channel: KeeperChannel?
        /// What of it would outlive it.
        var estates: [UInt32: Estate] = [:]
        /// Whether it is killed because it does not answer.
        var isCondemned = false
        /// Whether it is another service, and accepts.
        var hasServed = false
    }

    /// Of the service manager, or made before privileges were given up: for the first front.
    struct Possessions {
        var sockets: [(name: String, descriptor: CInt)] = []
        var privileges: CInt?
    }

    /// Between two lines that say that descriptors are lacking, nanoseconds.
    private static let shortageInterval: UInt64 = 60_000_000_000
    /// How soon what the service manager has not taken is tried again, nanoseconds.
    private static let notifierInterval: UInt64 = 100_000_000

    var log = KeeperLog()
    var possessions: Possessions
    var fronts: [KeptFront] = []
    var children: [UInt32: Child] = [:]
    /// A front of which is started when none is there.
    var service: ServerLine
    var serving: KeptFront?
    /// The number of the line whose program this process runs.
    var ownLine: Int
    var lastLine: Int
    var lastProcess: UInt32
    var deaths: ProcessDeaths
    /// Signals that came when no front served.
    var waitingSignals: [CInt] = []
    /// Those that ask for the end, since the service began.
    var stops: [CInt]
    var restarts = FrontRestarts()
    /// When the next front is started, on the monotonic clock in nanoseconds.
    var restartAt: UInt64?
    /// What there is of the service that this one succeeds.
    var heritage: Heritage?
    /// Whether this process stays until it is told to stop when another service has succeeded this one.
    let stays: Bool
    /// Set once the service ends.
    var exitStatus: Int32?
    /// What dead workers have left, and nobody has yet.
    var estates: [Estate] = []
    /// When somebody gets that, on the monotonic clock in nanoseconds.
    var heirsDueAt: UInt64?
    /// What fronts have asked for of estates, and have not been answered.
    var handovers: [Handover] = []
    /// Whether the workers end without a front.
    var waitsForWorkers = false
    /// A line whose program has refused to take the keeper's place.
    var refusedLine: Int?
    /// The process that shows whether the new program can be executed in this one's place.
    var trial: pid_t?
    private var notifier = ServiceNotifier()
    var watchdog = ServiceWatchdog.wanted(now: MonotonicTime.now)
    private var shortageTold: UInt64?

    /// Begins a service.
    ///
    /// - Parameters:
    ///   - program: of the first front: this one.
    ///   - heritage: of the service that this one succeeds.
    init(_ program: Program, _ possessions: Possessions, _ heritage: Heritage? = nil) {
        self.possessions = possessions
        self.heritage = heritage
        stays = Self.staysByEnvironment
        service = ServerLine(1, program)
        ownLine = 1
        lastLine = 1
        lastProcess = 0
        deaths = ProcessDeaths()
        stops = []
    }

    /// Goes on as the program before this one left it.
    init(_ state: KeeperState) {
        possessions = Possessions()
        stays = Self.staysByEnvironment
        var lines: [Int: ServerLine] = [:]
        for line in state.lines { lines[line.number] = line.restored() }
        service = lines[state.service] ?? ServerLine(state.service, Program(file: -1, name: "baton", arguments: []))
        ownLine = state.service
        lastLine = state.lastLine
        lastProcess = state.lastProcess
        deaths = state.deaths
        stops = state.stops
        let front = KeptFront(
            process: state.front.process, pid: state.front.pid, channel: KeeperChannel(owning: state.front.link),
            line: service, role: .serving)
        front.servesSince = MonotonicTime.now
        front.answers = state.front.answers ?? false
        fronts = [front]
        serving = front
        for child in state.children {
            guard let line = lines[child.line] else { continue }
            children[child.process] = Child(
                process: child.process, pid: child.pid, role: child.role, line: line,
                owner: child.isOwned ? front : nil, channel: child.link.map { KeeperChannel(owning: $0) },
                estates: Dictionary(child.estates.map { ($0.number, Estate($0)) }) { $1 },
                isCondemned: child.isCondemned)
        }
    }

    /// Runs until the service has ended.
    ///
    /// - Returns: the exit status.
    func run() -> Int32 {
        DescriptorLimit.raise()
        let signals = baton_signals_descriptor()
        if fronts.isEmpty { startFront(.first) }
        reap()
        while true {
            if let exitStatus, fronts.isEmpty, !waitsForWorkers || children.values.allSatisfy(\.isElsewhere),
                hasToldGuest
            {
                guard isSucceeded, stays, stops.isEmpty else { return exitStatus }
                leaveToGuest()
            }
            upgradeItself()
            turn(signals)
        }
    }

    private func turn(_ signals: CInt) {
        var watched = (fronts.map(\.channel) + children.values.compactMap(\.channel)).filter { !$0.hasEnded }
        var polled = [pollfd(fd: signals, events: Int16(POLLIN), revents: 0)]
        if let heritage { watched.append(heritage.channel) }
        polled += watched.map { pollfd(fd: $0.descriptor, events: $0.events, revents: 0) }
        _ = poll(&polled, nfds_t(polled.count), patience)
        var ready: Set<CInt> = []
        for entry in polled.dropFirst() where entry.revents != 0 { ready.insert(entry.fd) }
        for channel in watched where ready.contains(channel.descriptor) { channel.flush() }
        for front in fronts where ready.contains(front.channel.descriptor) { hear(front) }
        if let heritage, ready.contains(heritage.channel.descriptor) { hear(heritage) }
        for child in Array(children.values) {
            if let channel = child.channel, ready.contains(channel.descriptor) { hear(child, channel) }
        }
        var hasEnded = false
        while true {
            let number = baton_signals_take()
            guard number > 0 else { break }
            if number == SIGCHLD { hasEnded = true } else { received(number) }
        }
        if hasEnded { reap() }
        if let due = restartAt, MonotonicTime.now >= due {
            restartAt = nil
            startFront(.restored)
        }
        if let due = heirsDueAt, MonotonicTime.now >= due { giveEstates() }
        answerHandovers()
        watch()
        notifier.flush()
    }

    /// Milliseconds until something is due; -1: nothing is.
    private var patience: CInt {
        var limit: UInt64?
        for due in [restartAt, heirsDueAt, handovers.map(\.dueAt).min(), watchdog?.dueAt].compactMap({ $0 }) {
            limit = min(limit ?? .max, due > MonotonicTime.now ? due - MonotonicTime.now : 0)
        }
        if notifier.hasWaiting { limit = min(limit ?? .max, Self.notifierInterval) }
        return limit.map { CInt(clamping: ($0 + 999_999) / 1_000_000) } ?? -1
    }

    /// Descriptors are lacking; said once a minute.
    func noteShortage() {
        let now = MonotonicTime.now
        if let shortageTold, now < shortageTold + Self.shortageInterval { return }
        shortageTold = now
        log.error(
            "descriptors are lacking: relays that cannot be kept end with their worker; raise LimitNOFILE= of the unit")
    }

    /// Tells the service manager that the server lives, if it does.
    private func watch() {
        let front = serving.flatMap { $0.answers ? $0 : nil }
        guard let due = watchdog?.look(now: MonotonicTime.now, front: front?.process) else { return }
        if due.tells { notify(.alive) }
        if due.asks { front?.channel.send(KeeperEvent.areYouThere) }
    }

    func notify(_ notification: ServiceNotification) { notifier.send(notification) }

    /// Whether another service has succeeded this one.
    private(set) var isSucceeded = false

    /// The service is another one's.
    func succeeded() {
        isSucceeded = true
        exitStatus = exitStatus ?? 0
    }

    /// Another service has everything. Whoever started this one would start it again if it ended.
    private func leaveToGuest() {
        service.clear()
        if let guest { children[guest.process] = nil }
    }

    private static var staysByEnvironment: Bool { getenv(ServeOptions.stayVariable) != nil }

    // MARK: Signals

    /// A signal to the service.
    func received(_ number: CInt) {
        if Signals.stops(number) { stops.append(number) }
        if let front = serving ?? fronts.first(where: { $0.role == .first }) {
            return front.tell(number)
        }
        if Signals.stops(number) {
            if exitStatus != nil { return stopWorkers() }
            if restartAt != nil { restartAt = MonotonicTime.now }
            // Whoever asks twice does not wait for a front that does not come to serve.
            if stops.count > 1, let front = fronts.first(where: { $0.role == .restored }) { kill(front.pid, SIGKILL) }
        } else {
            keepForNext(number)
        }
    }

    /// A signal that no front has heard. A stop is kept by itself.
    func keepForNext(_ number: CInt) {
        if !Signals.stops(number), !waitingSignals.contains(number) { waitingSignals.append(number) }
    }

    /// Ends workers that have no front: in order, and the second time at once.
    func stopWorkers() {
        for child in children.values where child.owner == nil { child.channel?.send(bytes: WorkerNotice.stop.encoded) }
    }
}
