internal import BatonConfiguration

extension WorkerPool {
    /// What the server tells and does for its workers.
    struct Actions {
        var moment: () -> ServerMoment
        /// Whether the server was asked to stop.
        var isStopping: () -> Bool
        /// How many the configuration wants.
        var configured: () -> Int
        /// How long one may not answer; `nil`: for ever.
        var silenceLimit: () -> Duration?
        /// What a worker that takes parcels in that directory is told of its confinement.
        var confinement: (_ directory: String) -> [String]
        /// The text of the configuration, and flags.
        var settings: () -> (file: String?, flags: [String])
        /// The number of a change of the configuration.
        var nextTurn: () -> UInt64
        /// Where a server that has been replaced sends what it has.
        var successors: () -> [String]
        /// What the server is, for those who asked for workers.
        var status: () -> StatusReport
        /// A worker has said something that is no matter of the pool's.
        var received: (WorkerMessage, WorkerHandle) -> Void
        /// A worker is gone.
        var ended: (WorkerHandle) -> Void
        /// A worker gets no new connections, because it does not answer.
        var isSilent: (WorkerHandle) -> Void
        /// Where those take parcels that may be given some.
        var changed: ([String]) -> Void
        /// A worker knows others.
        var areAcquainted: () -> Void
        /// A worker cannot be had. Returns whether the server's start has failed for this.
        var failed: (String) -> Bool
        /// Time passes.
        var hasBeaten: () -> Void
        /// Less is left of a server that ends.
        var hasLess: () -> Void
    }
}
