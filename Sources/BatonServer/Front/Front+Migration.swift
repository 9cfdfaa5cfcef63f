extension Front {
    /// What is done here for the processes that move connections between hosts.
    var migrationActions: MigrationProcesses.Actions {
        MigrationProcesses.Actions(
            moment: { [self] in life.moment },
            settings: { [self] in (file, options.flags) },
            workers: { [self] in workers.filter { $0.state == .ready }.map(\.socket) },
            areReady: { [self] in becomeReady() },
            failed: { [self] in failStart($0) },
            received: { [self] in drain?.received($0) },
            counted: { [tally] counts in tally.withLock { $0.migrationEnded(counts) } },
            died: { [self] in drain?.migrationEnded($0) },
            hasLess: { [self] in look() })
    }
}
