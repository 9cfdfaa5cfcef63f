internal import Handoff

/// One sweep of a drain over the sessions of a worker.
struct MigrationSweep {
    let number: UInt64
    /// To the migration process.
    let sender: ParcelSender
    /// Sessions that have not been offered in it; some may have ended since. The last is next.
    var waiting: [UInt64]
}
