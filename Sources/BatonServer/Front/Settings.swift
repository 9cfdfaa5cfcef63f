internal import BatonConfiguration

/// What the server was started with, and the configuration that holds. Used on the front's loop only.
final class Settings: @unchecked Sendable {
    let options: ServeOptions
    private(set) var configuration: Configuration
    /// The configuration's text.
    private(set) var file: String?
    private let logger: SharedLogger

    init(_ options: ServeOptions, _ configuration: Configuration, file: String?, _ logger: SharedLogger) {
        self.options = options
        self.configuration = configuration
        self.file = file
        self.logger = logger
        AccessLog.process.use(configuration)
    }

    /// What the server's processes read.
    var text: (file: String?, flags: [String]) { (file, options.flags) }

    /// Has another configuration hold.
    func replace(with configuration: Configuration, file: String?) {
        self.configuration = configuration
        self.file = file
        logger.setLevel(configuration.logLevel.swiftLog)
        AccessLog.process.use(configuration)
    }
}
