internal import CLinuxSockets

/// A program of the administrator's that moves an address, for example by commanding keepalived.
enum HookCommand {
    private static let milliseconds: Int32 = 10_000

    /// Runs `path` with the address as its argument and waits for its end.
    ///
    /// - Throws: `.systemCall` if it cannot be started, does not end with status 0, or takes longer than ten seconds.
    static func run(_ path: String, _ address: IPAddress) throws(MigrationError) {
        let status = try checked(baton_run(path, "\(address)", milliseconds), path)
        guard status == 0 else { throw MigrationError(.systemCall, "\(path) failed; its own output tells why") }
    }
}
