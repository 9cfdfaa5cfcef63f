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
        /// Whether connections are accepted. At some steps of an upgrade nobody accepts here, and a delay would only keep
        /// waiting who connects.
        let isAccepting: () -> Bool
        let configuration: () -> Configuration
        let connectionCount: () -> Int
        let notify: (ServiceNotification) -> Void
        /// Closes the listeners' sockets. The admin address and the control socket are served to the end.
        let stopAccepting: () -> Void
        let happened: (ServerLife<UpgradeRequest>.Event) -> Void
    }

    /// How long connections that are closed may take to end.
    private static let closingLimit = TimeAmount.seconds(2)
    private let around: Surroundings

    init(_ around: Surroundings) { self.around = around }

    private var log: Logger { around.logger.current }

    private var delay: TimeAmount {
        around.isAccepting() ? around.configuration().shutdownDelay.timeAmount : .zero
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
                "connections": "\(around.connectionCount())", "accepts_for_ms": "\(delay.nanoseconds / 1_000_000)",
            ])
        around.notify(.stopping)
    }

    func awaitDelay() {
        around.loop.scheduleTask(in: delay) { self.around.happened(.delayOver) }
    }

    /// Lets connections end.
    func acceptNoMore() {
        around.workers.refuseWaiting("the server is stopping")
        around.stopAccepting()
        log.notice("shutting down", metadata: ["connections": "\(around.connectionCount())"])
        around.workers.finish()
        guard let limit = around.configuration().shutdownTime?.timeAmount else { return }
        around.loop.scheduleTask(in: limit) { self.around.happened(.timeOver) }
    }

    /// Closes what is left.
    func closeRest() {
        around.workers.stop(within: Self.closingLimit) { self.around.happened(.closed) }
    }
}
