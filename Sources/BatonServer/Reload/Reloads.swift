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
        var reading: () -> @Sendable () throws -> ConfigurationReading
        /// The numbers of the workers that `apply` will tell.
        var workers: () -> Set<Int>
        /// Puts what was read to use here, and tells the workers. If it throws, everything is as it was.
        var apply: (ConfigurationReading, _ turn: UInt64) throws -> ReloadReport
        /// Every worker has it.
        var hasSucceeded: () -> Void
        /// A reload has ended, after so many seconds.
        var counted: (_ hasSucceeded: Bool, _ duration: Double) -> Void
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
            case .read: read()
            case .passOn(let askers):
                actions.passOn()
                for asker in askers { asker.finish(.again) }
            case .refuse(let askers):
                if askers.isEmpty { log.warning("the configuration is not read again: the server is stopping") }
                for asker in askers { asker.finish(.failed("the server is stopping")) }
            }
        }
    }

    private func read() {
        actions.notify(.reloading)
        startedAt = MonotonicTime.now
        let read = actions.reading()
        startThread("baton-reload") { [self] in
            let result = Result { try read() }
            loop.execute { self.hasRead(result) }
        }
    }

    private func hasRead(_ result: Result<ConfigurationReading, any Error>) {
        let (isOfUse, steps) = schedule.hasRead()
        guard isOfUse else {
            actions.notify(.ready)
            return perform(steps)
        }
        do {
            let reading = try result.get()
            let turn = nextTurn()
            progress = ReloadProgress(turn: turn, workers: actions.workers())
            // A worker may end meanwhile.
            let report = try actions.apply(reading, turn)
            progress?.applied(report)
            loop.scheduleTask(in: Self.workersLimit) { [self] in
                guard let progress, progress.turn == turn else { return }
                let names = progress.missing.map { "\($0)" }.joined(separator: ", ")
                end(.failed("the configuration is in use, but not by the workers \(names), which do not answer"))
            }
            endIfDone()
        } catch {
            let reason = "\(error)".split(separator: "\n").joined(separator: "; ")
            log.error("the configuration is kept as it was", metadata: ["reason": "\(reason)"])
            end(.failed("the configuration is kept as it was: \(reason)"))
        }
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
            log.notice(
                "the configuration has been read again",
                metadata: [
                    "certificates": "\(report.certificates)", "duration_ms": "\(report.durationMilliseconds)",
                ])
            actions.hasSucceeded()
            end(.reloaded(report))
        }
    }

    private func end(_ answer: ControlResponse) {
        progress = nil
        let hasSucceeded = if case .reloaded = answer { true } else { false }
        actions.counted(hasSucceeded, Double(MonotonicTime.now - startedAt) / 1e9)
        actions.notify(.ready)
        let (askers, steps) = schedule.hasEnded()
        for asker in askers { asker.finish(answer) }
        perform(steps)
    }
}
