internal import Logging

/// Logs of a server: swift-log on standard error.
enum ServeLog {
    static func bootstrap() {
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
    }
}

extension LogLevel {
    var swiftLog: Logger.Level { Logger.Level(rawValue: rawValue) ?? .info }
}
