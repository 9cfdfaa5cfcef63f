/// The time limits of connections that are to be given to others.
struct PlacementLimits {
    /// A connection that nobody has taken for this long is given up.
    let patience: Duration
    /// What its receiver never tells of is awaited no longer than this.
    let doubt: Duration
    /// A connection that has come back, or for which nobody is ready, is offered again after this.
    let retryDelay = Duration.milliseconds(50)

    /// Of a front, and of a worker for programs of somebody else's. Doubt is twice as long as a connection is offered.
    static let newcomers = PlacementLimits(patience: .seconds(30), doubt: .seconds(60))
    /// Of connections between hosts. A host that waits for the end of a batch waits longer (`PlacementCount`).
    static let migrants = PlacementLimits(patience: .seconds(5), doubt: .seconds(60))
}
