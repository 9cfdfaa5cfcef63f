internal import BatonConfiguration
internal import Foundation

extension Configuration {
    /// Reads a configuration from the text of a file, the environment of this process, which all processes of a server have from
    /// its keeper, and the arguments of `baton serve`.
    init(file: String?, arguments: [String]) throws(ConfigurationError) {
        let flags = try ConfigurationFlags(arguments).values
        self = try ConfigurationSources(
            file: file, environment: ProcessInfo.processInfo.environment, flags: flags
        ).configuration()
    }
}
