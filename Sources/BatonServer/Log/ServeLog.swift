internal import BatonConfiguration
internal import Foundation
internal import Libc
internal import Logging
internal import Synchronization

/// Logs of a server: swift-log on standard error. Whoever logs never waits for whoever reads the log.
enum ServeLog {
    private static let queue = Mutex<LogQueue?>(nil)

    /// Called once, before the first line.
    static func bootstrap() {
        let lines = LogQueue(STDERR_FILENO)
        queue.withLock { $0 = lines }
        LoggingSystem.bootstrap { LineLogHandler(label: $0, queue: lines) }
    }

    /// Waits until everything has been written, but not longer than this. Nothing is to be logged any more.
    static func flush(within time: Duration) { current?.flush(within: time) }

    /// Writes a line without a time, behind those that were logged; `false` if this process does not log.
    static func say(_ line: String) -> Bool {
        guard let current else { return false }
        current.append(line)
        return true
    }

    /// How many lines could not be written, because their reader stood still or there was no room.
    static var droppedLines: Int { current?.droppedLines ?? 0 }

    private static var current: LogQueue? { queue.withLock { $0 } }
}

extension LogLevel {
    var swiftLog: Logger.Level { Logger.Level(rawValue: rawValue) ?? .info }
}
