/// What is left to a server that has been replaced.
struct Remainder: Codable, Sendable, Equatable {
    var pid: Int32
    var connections: Int
    /// The processes that have them, which do not answer.
    var workers: [Int32]

    /// Why the next upgrade cannot come, and what to do.
    var obstacle: String {
        let (whose, they) = workers.count == 1 ? ("worker", "it") : ("workers", "them")
        return "\(whose) \(workers.map { "\($0)" }.joined(separator: ", ")) of the server before this one (pid \(pid)) "
            + "did not answer when \(they) had to hand over \(connections) connections; end \(they) (SIGKILL) or let \(they) "
            + "go on (SIGCONT), then upgrade"
    }
}
