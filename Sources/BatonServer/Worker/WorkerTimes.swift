/// The times of a worker.
enum WorkerTimes {
    /// What its front is told of, it is told not more often than this.
    static let reportDelay = Duration.milliseconds(50)
    /// A connection that has gone to another owner is counted here for so long, until the other one counts it.
    static let countedAfterLeaving = reportDelay * 4
    /// Connections that are being closed in order are cut off after this.
    static let closing = Duration.seconds(1)
    /// How often idle connections are looked for, at the most and at the least.
    static let idleLook = Duration.milliseconds(250)...Duration.seconds(60)
    /// How often connections and what has passed are counted, for the metrics.
    static let census = Duration.seconds(1)
    /// How often the event loop notes that it turns.
    static let turn = Duration.milliseconds(250)
    /// Without a turn for this long nothing is taken: nobody would serve it.
    static let longestTurn = Duration.seconds(2)
}
