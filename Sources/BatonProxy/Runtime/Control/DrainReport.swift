/// How far a drain has come.
public struct DrainProgress: Codable, Sendable, Hashable {
    /// Connections that have not been asked to move yet.
    public var remaining: Int
    /// Connections that the other host has.
    public var moved: Int
    /// Connections that could not move so far.
    public var stayed: Int
    /// How long those that moved stood still.
    public var pause: StatusReport.Pause

    private enum CodingKeys: String, CodingKey {
        case remaining, moved, stayed
        case pause = "pause_us"
    }
}

/// How a drain ended. Its JSON is an interface: keys are added, never changed.
public struct DrainReport: Codable, Sendable, Hashable {
    /// The other host's name in the configuration.
    public var peer: String
    /// Whether nothing was to move: `moved` is what could have then.
    public var isDryRun: Bool
    /// Connections that the other host has.
    public var moved: Int
    /// Connections that could not move and go on here, by the reason.
    public var stayed: [String: Int]
    /// Connections whose commit was sent and not confirmed. They are closed here; the other host has or resets them.
    public var inDoubt: Int
    /// Connections that were moved and that no process of the other host took. They are closed.
    public var lost: Int
    /// The service addresses that the other host answers for now.
    public var addresses: [String]
    /// Connections that are here now.
    public var remaining: Int
    /// Whether it was asked to stop.
    public var isInterrupted: Bool
    /// What went wrong; nil if nothing did.
    public var failure: String?
    /// How long those that moved stood still.
    public var pause: StatusReport.Pause
    /// Milliseconds from the command to its end.
    public var durationMilliseconds: Int

    private enum CodingKeys: String, CodingKey {
        case peer, moved, stayed, lost, addresses, remaining, failure
        case isDryRun = "dry_run"
        case inDoubt = "in_doubt"
        case isInterrupted = "interrupted"
        case pause = "pause_us"
        case durationMilliseconds = "duration_ms"
    }

    /// Whether the machine may be switched off as far as its connections are concerned.
    public var isComplete: Bool {
        !isDryRun && remaining == 0 && stayed.isEmpty && inDoubt == 0 && lost == 0 && !isInterrupted && failure == nil
    }
}
