internal import Logging
internal import Synchronization

/// A logger whose level can be changed while others log from other threads.
final class SharedLogger: Sendable {
    private let logger: Mutex<Logger>

    init(_ label: String, level: Logger.Level) {
        var logger = Logger(label: label)
        logger.logLevel = level
        self.logger = Mutex(logger)
    }

    var current: Logger { logger.withLock { $0 } }

    func setLevel(_ level: Logger.Level) { logger.withLock { $0.logLevel = level } }
}
