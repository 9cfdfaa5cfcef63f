internal import BatonConfiguration
internal import CLinuxSockets
internal import Libc
internal import Logging

/// `baton serve`: the main process of a server.
package enum KeeperMain {
    /// Runs a service to its end.
    ///
    /// - Returns: the exit status.
    /// - Throws: `ConfigurationError`, `RuntimeError` and others, before anything has been started.
    package static func run(_ options: ServeOptions) throws -> Int32 {
        _ = BinaryPath.atStart
        if let state = try KeeperState.takeLeft() { return Keeper(state).run() }
        guard options.takeover == nil else {
            throw RuntimeError(
                .configuration, "this version cannot take over from an older one's processes; restart the server")
        }
        let activated = try ActivatedSocket.takeAll()
        let privileges = PrivilegeLink.takeLeft()
        let (configuration, sources, _) = try options.readSources()
        var log = KeeperLog()
        for notice in sources.notices { log.warning(notice) }
        let account = try configuration.user.map { try Account(user: $0, group: configuration.group) }
        let changesUser = account.map { !$0.isCurrent } ?? false
        let isPrivileged = privileges == nil && configuration.migration.isConfigured && NetworkMain.hasPrivileges
        if changesUser || isPrivileged {
            try restart(options, as: changesUser ? account : nil, configuration, activated, privileges)
        }
        let heritage = try heritage(options)
        let program = Program(file: Program.ownFile() ?? -1, name: options.program.name, arguments: options.arguments)
        var possessions = Keeper.Possessions()
        possessions.sockets = activated.map { ($0.passedName, $0.descriptor) }
        possessions.privileges = privileges
        return Keeper(program, possessions, heritage).run()
    }

    /// Of the service that this one is to succeed.
    private static func heritage(_ options: ServeOptions) throws(RuntimeError) -> Heritage? {
        guard let succession = options.succession else { return nil }
        let heritage = try Heritage.ask(succession.path)
        var log = KeeperLog()
        if heritage != nil {
            log.notice("takes over from the service that runs", ["control": succession.path])
        } else if succession.isRequired {
            throw RuntimeError(
                .notRunning, "--succeed-only: nobody is at \(succession.path); leave it out for the first service")
        } else {
            log.notice("nobody is there to take over from; this service is the first", ["control": succession.path])
        }
        return heritage
    }

    /// Does what needs a privilege, and goes on without, as another user if one is given. No peer has been heard yet.
    private static func restart(
        _ options: ServeOptions, as account: Account?, _ configuration: Configuration, _ activated: [ActivatedSocket],
        _ left: CInt?
    ) throws -> Never {
        if let account {
            guard geteuid() == 0 else {
                throw RuntimeError(
                    .configuration,
                    "user: only root can become user \(account.name ?? "\(account.user)"); start as root, or leave user "
                        + "out")
            }
            try ControlSocket.prepare(configuration.control, for: account)
        }
        // Raised while it may be; the limit stays.
        DescriptorLimit.raise()
        // The service that runs hands over its own.
        let isSuccessor = options.succession.map { UnixSocket.answers($0.path) } ?? false
        let sockets =
            isSuccessor ? [] : try PreparedListening.prepare(configuration, inherited: [], activated).sockets
        if let account { for socket in sockets where !socket.isActivated { socket.give(to: account) } }
        let named = sockets.map { socket in
            let name = socket.name == ListeningSocket.adminName ? "admin" : socket.name
            return (
                name: socket.isActivated ? name : ActivatedSocket.ownPrefix + name, descriptor: socket.descriptor
            )
        }
        let migration = configuration.migration
        var privileges = left
        if privileges == nil, migration.isConfigured, NetworkMain.hasPrivileges {
            privileges = try PrivilegeLink.startKeeper(migration)
        }
        if let account {
            var log = KeeperLog()
            log.notice(
                "going on without privileges", ["user": "\(account.user)", "group": "\(account.group)"])
        }
        try ProgramRestart(sockets: named, privileges: privileges).run(as: account)
    }

    /// `baton serve-trial`: whether this program can take the place of a keeper.
    package static func readsState(_ version: Int) -> Bool { version == KeeperState.version }
}
