internal import BatonConfiguration
internal import Logging

/// Everything of a reload that takes time: files are read and checked, certificates are loaded, names are resolved. It
/// belongs on no event loop.
struct ConfigurationReading: Sendable {
    let configuration: Configuration
    let file: String?
    let policy: FrontPolicy
    let plan: ListeningPlan

    /// - Throws: what stands against the configuration.
    init(_ options: ServeOptions, keys: TicketKeysBox, sockets: [ListeningSocket]) throws {
        (configuration, file) = try options.read()
        policy = try FrontPolicy(configuration, keys: keys)
        plan = try ListeningPlan(configuration, having: sockets)
    }
}

extension Configuration {
    /// Keys whose changes a reload does not put to use, with what does.
    func keysNotReloaded(since before: Configuration) -> [String] {
        var keys: [String] = []
        func compare<Value: Equatable>(_ name: String, _ path: KeyPath<Configuration, Value>, _ remedy: String) {
            if self[keyPath: path] != before[keyPath: path] { keys.append("\(name) (\(remedy))") }
        }
        compare("control", \.control, "restart")
        compare("user", \.user, "restart")
        compare("group", \.group, "restart")
        compare("migration", \.migration, "upgrade")
        compare("peers", \.peers, "upgrade")
        compare("confinement", \.confinement, "upgrade")
        if confinement != .off, let directory = ConfinedProcess.logDirectory(of: self),
            directory != ConfinedProcess.logDirectory(of: before)
        {
            keys.append("access-log in another directory (upgrade)")
        }
        return keys
    }
}
