internal import BatonConfiguration
internal import Logging
internal import NIOCore

/// Performs what a stop brings about (`ServerLife`): the time for which connections are accepted still, and the one within
/// which they are to end. Used on the front's loop only.
final class Shutdown: @unchecked Sendable {
    /// What is to be shut down.
    struct Surroundings {
        let loop: any EventLoop
        let logger: SharedLogger
        let workers: WorkerPool
        let settings: Settings
        let figures: Figures
        let keeper: KeeperLink
        let listening: Listening
        let reception: Reception
        let happened: (ServerLife<UpgradeRequest>.Event) -> Void
    }

    /// How long connections that are closed may take to end.
    private static let closingLimit = TimeAmount.seconds(2)
    private let around: Surroundings

    init(_ around: Surroundings) { self.around = around }

    private var log: Logger { around.logger.current }

    /// At some steps of an upgrade nobody accepts here, and a delay would only keep waiting who connects.
    private var delay: TimeAmount {
        around.listening.isAccepting ? around.settings.configuration.shutdownDelay.timeAmount : .zero
    }

    // MARK: Who asks

    /// A signal.
    func ask() { around.happened(.stop(mayDelay: delay > .zero)) }

    /// The other server of an upgrade was told to stop: so is this one.
    func otherStops(atOnce: Bool) { around.happened(.otherStops(atOnce: atOnce, mayDelay: delay > .zero)) }

    // MARK: What is done

    func tell(accepts: Bool) {
        let delay = accepts ? delay : .zero
        log.notice(
            "stopping",
            metadata: [
                "connections": "\(around.figures.connectionCount)",
                "accepts_for_ms": "\(delay.nanoseconds / 1_000_000)",
            ])
        around.keeper.notify(.stopping)
    }

    func awaitDelay() {
        around.loop.scheduleTask(in: delay) { self.around.happened(.delayOver) }
    }

    /// Lets connections end.
    func acceptNoMore() {
        around.workers.refuseWaiting("the server is stopping")
        around.reception.closeListeners()
        log.notice("shutting down", metadata: ["connections": "\(around.figures.connectionCount)"])
        around.workers.finish()
        guard let limit = around.settings.configuration.shutdownTime?.timeAmount else { return }
        around.loop.scheduleTask(in: limit) { self.around.happened(.timeOver) }
    }

    /// Closes what is left.
    func closeRest() {
        around.workers.stop(within: Self.closingLimit) { self.around.happened(.closed) }
    }
}
