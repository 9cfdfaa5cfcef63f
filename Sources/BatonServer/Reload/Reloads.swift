internal import BatonCore
internal import Logging
internal import NIOCore

/// Reads the configuration again when that is asked for, at the moments that `ReloadSchedule` chooses, puts what was read to
/// use, and tells who asked when every worker has it. Used on `loop` only.
final class Reloads: @unchecked Sendable {
    typealias Asker = JSONLink<ControlResponse>
    typealias Schedule = ReloadSchedule<Asker>

    /// What the server does for a reload.
    struct Actions {
        var notify: (ServiceNotification) -> Void
        /// Has the successor read its files once more.
        var passOn: () -> Void
        /// What reads the files, on a thread of its own.
        var reading: (ReloadScope) -> @Sendable () throws -> ConfigurationReading
        /// The numbers of the workers that `apply` will tell.
        var workers: () -> Set<Int>
        /// Puts what was read to use here, and tells the workers. If it throws, everything is as it was.
        var apply: (ConfigurationReading, _ turn: UInt64) throws -> ReloadReport
        /// Every worker has it.
        var hasSucceeded: (ReloadScope) -> Void
        /// A reload has ended, after so many seconds.
        var counted: (_ hasSucceeded: Bool, _ duration: Double) -> Void
        /// The files that were read, as they were before that, and whether all of them are in use. Nil: it is not known which.
        var hasReadFiles: (_ files: FileStamps?, _ isWhole: Bool) -> Void
    }

    /// How long the workers may take to read the configuration.
    private static let workersLimit = TimeAmount.seconds(30)

    private let loop: any EventLoop
    private let logger: SharedLogger
    private let actions: Actions
    private var schedule = Schedule()
    private var progress: ReloadProgress?
    private var lastTurn: UInt64 = 0
    private var startedAt: UInt64 = 0
    /// What is under way, with the files that have changed.
    private var scope = ReloadScope.configuration
    private var changes: [String] = []
    /// What was told of changed files that cannot be used.
    private var toldFailures: Set<String> = []

    init(on loop: any EventLoop, _ logger: SharedLogger, _ actions: Actions) {
        self.loop = loop
        self.logger = logger
        self.actions = actions
    }

    private var log: Logger { logger.current }

    /// `baton reload`.
    func ask(_ asker: Asker) { perform(schedule.ask(asker)) }

    /// SIGHUP.
    func askBySignal() {
        if !schedule.canBeginNow, schedule.moment != .stopping {
            log.notice(
                "the configuration is read again as soon as that can be", metadata: ["phase": "\(schedule.moment)"])
        }
        perform(schedule.ask(nil))
    }

    /// Files of certificates and the like have changed.
    func certificatesChanged() { perform(schedule.certificatesChanged()) }

    /// What the server is doing.
    func enter(_ moment: ServerMoment) {
        if moment != schedule.moment { perform(schedule.enter(moment)) }
    }

    /// The number of a change of which workers are told: each has a higher one than the one before.
    func nextTurn() -> UInt64 {
        lastTurn += 1
        return lastTurn
    }

    // MARK: Workers

    /// A worker has taken a configuration, or has kept the one before.
    func answered(_ worker: Int, turn: UInt64, failure: String?) {
        progress?.answered(worker, turn: turn, failure: failure)
        endIfDone()
    }

    /// A worker is gone.
    func ended(_ worker: Int) {
        progress?.ended(worker)
        endIfDone()
    }

    // MARK: The way of a reload

    private func perform(_ steps: [Schedule.Action]) {
        for step in steps {
            switch step {
            case .read(let scope): read(scope)
            case .passOn(let askers):
                actions.passOn()
                for asker in askers { asker.finish(.again) }
            case .refuse(let askers):
                if askers.isEmpty { log.warning("the configuration is not read again: the server is stopping") }
                for asker in askers { asker.finish(.failed("the server is stopping")) }
            }
        }
    }

    private func read(_ scope: ReloadScope) {
        self.scope = scope
        if scope == .configuration { actions.notify(.reloading) }
        startedAt = MonotonicTime.now
        let read = actions.reading(scope)
        startThread("baton-reload") { [self] in
            let result = Result { try read() }
            loop.execute { self.hasRead(result) }
        }
    }

    private func hasRead(_ result: Result<ConfigurationReading, any Error>) {
        let (isOfUse, steps) = schedule.hasRead()
        guard isOfUse else {
            if scope == .configuration { actions.notify(.ready) }
            return perform(steps)
        }
        do {
            let reading = try result.get()
            changes = reading.changes
            tell(reading.failures)
            if scope == .certificates, changes.isEmpty {
                actions.hasReadFiles(reading.files, reading.failures.isEmpty)
                return end(nil)
            }
            let turn = nextTurn()
            progress = ReloadProgress(turn: turn, workers: actions.workers())
            // A worker may end meanwhile.
            let report = try actions.apply(reading, turn)
            actions.hasReadFiles(reading.files, reading.failures.isEmpty)
            progress?.applied(report)
            loop.scheduleTask(in: Self.workersLimit) { [self] in
                guard let progress, progress.turn == turn else { return }
                let names = progress.missing.map { "\($0)" }.joined(separator: ", ")
                end(.failed("the configuration is in use, but not by the workers \(names), which do not answer"))
            }
            endIfDone()
        } catch {
            let reason = "\(error)".split(separator: "\n").joined(separator: "; ")
            actions.hasReadFiles(nil, false)
            if scope == .certificates {
                tell([reason])
                return end(nil)
            }
            log.error("the configuration is kept as it was", metadata: ["reason": "\(reason)"])
            end(.failed("the configuration is kept as it was: \(reason)"))
        }
    }

    /// Tells, once each, why changed files are not used.
    private func tell(_ failures: [String]) {
        for failure in failures where !toldFailures.contains(failure) {
            log.error("a file has changed and is not used; what it held before is", metadata: ["reason": "\(failure)"])
        }
        toldFailures = Set(failures)
    }

    private func endIfDone() {
        switch progress?.outcome {
        case nil: return
        case .kept(let failures):
            let reasons = failures.joined(separator: "; ")
            log.error("workers keep the configuration they had", metadata: ["reason": "\(reasons)"])
            end(.failed("the configuration is in use, but not by every worker: \(reasons)"))
        case .taken(var report):
            report.durationMilliseconds = Int((MonotonicTime.now - startedAt) / 1_000_000)
            switch scope {
            case .configuration:
                log.notice(
                    "the configuration has been read again",
                    metadata: [
                        "certificates": "\(report.certificates)", "duration_ms": "\(report.durationMilliseconds)",
                    ])
            case .certificates:
                let files = changes.prefix(6).joined(separator: ", ")
                log.notice(
                    "changed files are in use",
                    metadata: [
                        "files": "\(files)\(changes.count > 6 ? " and \(changes.count - 6) more" : "")",
                        "duration_ms": "\(report.durationMilliseconds)",
                    ])
            }
            actions.hasSucceeded(scope)
            end(.reloaded(report))
        }
    }

    /// - Parameter answer: nil where nobody can have asked.
    private func end(_ answer: ControlResponse?) {
        progress = nil
        // Those that nobody has asked for say nothing of the configuration's file.
        if scope == .configuration {
            let hasSucceeded = if case .reloaded? = answer { true } else { false }
            actions.counted(hasSucceeded, Double(MonotonicTime.now - startedAt) / 1e9)
            actions.notify(.ready)
        }
        let (askers, steps) = schedule.hasEnded()
        if let answer { for asker in askers { asker.finish(answer) } }
        perform(steps)
    }
}
