package import BatonConfiguration
internal import Foundation
internal import Libc

/// What `baton serve` was called with.
package struct ServeOptions: Sendable {
    /// The configuration file, read again on SIGHUP; absolute, so that it is found when the directory that the server was
    /// started in has another name, or is another one under its name.
    package var configurationPath: String?
    /// The flags, as they were written.
    package var flags: [String]
    /// Where the server to be replaced hands over its listening sockets; nil: there is none.
    package var takeover: String?
    /// The service that is to be succeeded; nil: none.
    package var succession: Succession?
    /// `--succeed`.
    package struct Succession: Sendable, Hashable {
        /// Its control socket, absolute.
        package var path: String
        /// Whether it must be there.
        package var isRequired: Bool
    }

    /// In the environment while `--succeed-stay` holds: it holds through upgrades.
    static let stayVariable = "BATON_SUCCEED_STAY"

    /// What an upgrade starts.
    let program: StartedProgram

    /// The options of a server.
    ///
    /// - Parameter isFront: whether the keeper has started this process; its word for the program holds then.
    package init(configurationPath: String?, flags: [String], takeover: String? = nil, isFront: Bool = false) {
        self.configurationPath = configurationPath.map(Self.absolute)
        self.flags = flags
        self.takeover = takeover
        program = .current(isStarted: isFront)
    }

    /// Splits `--config FILE`, `--takeover PATH`, `--succeed PATH`, `--succeed-only` and `--succeed-stay` from the flags of the
    /// configuration. A word of its own is the file, too; without either it is the one that BATON_CONFIG names, if it does.
    ///
    /// - Throws: `RuntimeError` for one of them without a value, or that contradicts another, and for a second file.
    package init(arguments: [String], isFront: Bool = false) throws(RuntimeError) {
        var flags: [String] = []
        var configurationPath: String?
        var takeover: String?
        var succeed: String?
        var (isRequired, stays) = (false, false)
        var rest = arguments[...]
        func value(_ flag: String, _ inline: Substring?) throws(RuntimeError) -> String {
            if let inline { return String(inline) }
            guard let value = rest.popFirst() else {
                throw RuntimeError(.configuration, "\(flag) has no value; write \(flag) PATH")
            }
            return value
        }
        while let argument = rest.popFirst() {
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let inline = parts.count == 2 ? parts[1] : nil
            switch parts[0] {
            case "--config": configurationPath = try value("--config", inline)
            case "--takeover": takeover = try value("--takeover", inline)
            case "--succeed": succeed = Self.absolute(try value("--succeed", inline))
            case "--succeed-only": isRequired = true
            case "--succeed-stay": stays = true
            case let word where word.hasPrefix("--"):
                flags.append(argument)
                if inline == nil, let value = rest.first, !value.hasPrefix("--") {
                    flags.append(value)
                    rest.removeFirst()
                }
            default:
                // A second one is told by `ConfigurationFlags`, which knows how a flag is written.
                if configurationPath == nil, !argument.hasPrefix("-") {
                    configurationPath = argument
                } else {
                    flags.append(argument)
                }
            }
        }
        if let succeed {
            // The control socket is the same one, in whoever's hands it is.
            if let control = Self.control(flags) {
                guard Self.absolute(control) == succeed else {
                    throw RuntimeError(
                        .configuration,
                        "--succeed \(succeed) and --control \(control) are two; leave --control out, or give both the "
                            + "same path")
                }
            } else {
                flags += ["--control", succeed]
            }
            if stays { setenv(Self.stayVariable, "1", 1) }
        } else if isRequired || stays {
            throw RuntimeError(.configuration, "--succeed-only and --succeed-stay go with --succeed PATH")
        }
        if configurationPath == nil { configurationPath = Self.environmentPath }
        self.init(configurationPath: configurationPath, flags: flags, takeover: takeover, isFront: isFront)
        succession = succeed.map { Succession(path: $0, isRequired: isRequired) }
    }

    /// The value of the flag `--control`.
    private static func control(_ flags: [String]) -> String? {
        if let at = flags.lastIndex(of: "--control"), at + 1 < flags.count { return flags[at + 1] }
        return flags.last { $0.hasPrefix("--control=") }.map { String($0.dropFirst("--control=".count)) }
    }

    /// The file that the environment names.
    package static var environmentPath: String? {
        ProcessInfo.processInfo.environment["BATON_CONFIG"].flatMap { $0.isEmpty ? nil : $0 }
    }

    private static func absolute(_ path: String) -> String { StartedProgram.absolute(path, in: StartDirectory.path) }

    /// As arguments, for a successor.
    var arguments: [String] {
        (configurationPath.map { ["--config", $0] } ?? []) + flags
    }

    /// Reads and checks the configuration.
    ///
    /// - Returns: the configuration, and the text of its file.
    /// - Throws: `ConfigurationError` or `RuntimeError`.
    package func read() throws -> (configuration: Configuration, file: String?) {
        let (configuration, _, file) = try readSources()
        return (configuration, file)
    }

    /// As `read`, with what the configuration was read from.
    func readSources() throws -> (configuration: Configuration, sources: ConfigurationSources, file: String?) {
        let given = try ConfigurationFlags(flags).values
        var file: String?
        if let configurationPath {
            do {
                file = try String(contentsOfFile: configurationPath, encoding: .utf8)
            } catch {
                throw RuntimeError(
                    .configuration,
                    "the configuration file \(configurationPath) cannot be read; check its path and mode")
            }
        }
        let sources = try ConfigurationSources(
            file: file, path: configurationPath, environment: ProcessInfo.processInfo.environment, flags: given)
        let configuration = try sources.configuration()
        try sources.locating { () throws(ConfigurationError) in try configuration.check(Obstacle.of) }
        return (configuration, sources, file)
    }
}
