internal import BatonConfiguration

extension Configuration {
    /// Reads a configuration from the text of a file and the arguments of `baton serve`.
    init(file: String?, arguments: [String]) throws(ConfigurationError) {
        try self.init(file: file, flags: try ConfigurationFlags(arguments).values)
    }
}
