internal import BatonConfiguration
internal import Logging
internal import TLSHandshake

/// Everything of a reload that takes time: files are read and checked, certificates are loaded, names are resolved. It
/// belongs on no event loop.
struct ConfigurationReading: Sendable {
    let configuration: Configuration
    let file: String?
    let policy: FrontPolicy
    /// Nil: what listens stays as it is.
    let plan: ListeningPlan?
    /// Those of a file that is shared with other hosts; nil: the ones there are stay.
    let ticketKeys: TicketKeysBox?
    /// The files that have been read, as they were before that.
    let files: FileStamps
    /// The files among them that have changed and are in use now.
    let changes: [String]
    /// What is used as it was before, with the reason, one line each.
    let failures: [String]

    /// Reads the configuration, and all that it names.
    ///
    /// - Throws: what stands against the configuration.
    init(_ options: ServeOptions, keys: TicketKeysBox, sockets: [ListeningSocket]) throws {
        (configuration, file) = try options.read()
        files = FileStamps(of: configuration.watchedFiles)
        ticketKeys = try TicketKeysBox(fileOf: configuration)
        policy = try FrontPolicy(configuration, keys: ticketKeys ?? keys, files: files)
        plan = try ListeningPlan(configuration, having: sockets)
        (changes, failures) = ([], [])
    }

    /// Reads what a configuration in use names again. A certificate that is no good stays as it was, each by itself: one that is
    /// being written, or that somebody has broken, does not keep the others from being renewed.
    ///
    /// - Throws: what stands against the rest.
    init(certificatesOf configuration: Configuration, file: String?, keys: TicketKeysBox, before: FrontPolicy) throws {
        self.configuration = configuration
        self.file = file
        files = FileStamps(of: configuration.watchedFiles)
        var failures: [String] = []
        var kept: Set<String> = []
        do {
            ticketKeys = try TicketKeysBox(fileOf: configuration)
        } catch {
            ticketKeys = nil
            failures.append("\(error)")
            if let path = configuration.sessionTickets.keyFile { kept.insert(path) }
        }
        let next = try FrontPolicy(configuration, keys: ticketKeys ?? keys, files: files, before: before)
        for failure in next.identities.failures {
            kept.formUnion([failure.chain, failure.key])
            failures.append(failure.message)
        }
        let inUse = files.keeping(kept, of: before.files)
        changes = inUse.changes(since: before.files)
        policy = next.using(inUse)
        plan = nil
        self.failures = failures
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
