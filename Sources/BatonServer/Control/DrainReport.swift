package import BatonConfiguration

/// How far a drain has come.
package struct DrainProgress: Codable, Sendable, Hashable {
    /// Connections that have not been asked to move yet.
    package var remaining: Int
    /// Connections that the other host has.
    package var moved: Int
    /// Connections that could not move so far.
    package var stayed: Int
    /// How long those that moved stood still.
    package var pause: StatusReport.Pause

    private enum CodingKeys: String, CodingKey {
        case remaining, moved, stayed
        case pause = "pause_us"
    }
}

/// How a drain ended. Its JSON is an interface: keys are added, never changed.
package struct DrainReport: Codable, Sendable, Hashable {
    /// The other host's name in the configuration.
    package var peer: String
    /// Whether nothing was to move: `moved` is what could have then.
    package var isDryRun: Bool
    /// Connections that the other host has.
    package var moved: Int
    /// Connections that could not move and go on here, by the reason.
    package var stayed: [String: Int]
    /// Connections whose commit was sent and not confirmed. They are closed here; the other host has or resets them.
    package var inDoubt: Int
    /// Connections that were moved and that no process of the other host took. They are closed.
    package var lost: Int
    /// The service addresses that the other host answers for now.
    package var addresses: [String]
    /// Connections that are here now.
    package var remaining: Int
    /// Whether it was asked to stop.
    package var isInterrupted: Bool
    /// What went wrong; nil if nothing did.
    package var failure: String?
    /// How long those that moved stood still.
    package var pause: StatusReport.Pause
    /// Milliseconds from the command to its end.
    package var durationMilliseconds: Int

    private enum CodingKeys: String, CodingKey {
        case peer, moved, stayed, lost, addresses, remaining, failure
        case isDryRun = "dry_run"
        case inDoubt = "in_doubt"
        case isInterrupted = "interrupted"
        case pause = "pause_us"
        case durationMilliseconds = "duration_ms"
    }

    /// Whether the machine may be switched off as far as its connections are concerned.
    package var isComplete: Bool {
        !isDryRun && remaining == 0 && stayed.isEmpty && inDoubt == 0 && lost == 0 && !isInterrupted && failure == nil
    }
}
