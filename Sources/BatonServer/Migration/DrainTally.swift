internal import BatonConfiguration

/// What has become of connections that were to move to another host.
struct DrainTally: Codable, Sendable {
    /// Those that the other host has; in a dry run, those that it could have.
    var moved = 0
    /// Those that go on here, by the reason.
    var stayed: [String: Int] = [:]
    /// Those that were committed and not confirmed: closed here, and the other host has them or has reset them.
    var inDoubt = 0
    /// Those that moved, and that no process of the other host took: closed.
    var lost = 0
    /// How long those that moved stood still.
    var pauses = PauseHistogram()
    /// Connections that were given by workers and of which the fate is known.
    var handled = 0
    /// Why the link failed, if it has.
    var linkFailure: String?

    var stayedCount: Int { stayed.values.reduce(0, +) }
}
