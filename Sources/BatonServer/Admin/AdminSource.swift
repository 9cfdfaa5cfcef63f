/// What the admin address tells of the server, asked on any thread.
struct AdminSource: Sendable {
    /// Whether connections are accepted and there is somebody to take them, and what the server is doing.
    var health: @Sendable () async -> (isHealthy: Bool, word: String)
    var report: @Sendable () async -> AdminReport
    /// The state, with the connections that are asked for, and what the history has behind the first `known` samples.
    var overview: @Sendable (_ query: ConnectionQuery, _ known: Int) async -> AdminOverview
    /// The names by which the address may be asked for.
    var names: @Sendable () -> Set<String>
}
