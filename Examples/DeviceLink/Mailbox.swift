/// The commands of one device: those that wait, in their order, and what became of the last ones. A value without I/O.
struct Mailbox: Codable, Equatable {
    struct Command: Codable, Equatable {
        /// Rises with each command of the device; never used twice. The device remembers the last it has done.
        let id: UInt64
        let text: String
    }

    struct Result: Codable, Equatable {
        let id: UInt64
        let text: String
    }

    /// Where a device listens for triggers that does not hold a connection.
    struct TriggerAddress: Codable, Equatable {
        let host: String
        let port: Int
    }

    static let maxPending = 100
    /// What a device may say that it did last. A greater number would leave no ids to count on with.
    static let greatestLast: UInt64 = 1 << 60
    private static let maxResults = 32

    private(set) var pending: [Command] = []
    private(set) var results: [Result] = []
    private var lastID: UInt64 = 0
    var triggerAddress: TriggerAddress?

    /// Adds a command.
    ///
    /// - Returns: its id; `nil` if too many wait.
    mutating func add(_ text: String) -> UInt64? {
        guard pending.count < Self.maxPending else { return nil }
        lastID += 1
        pending.append(Command(id: lastID, text: text))
        return lastID
    }

    /// The device has done a command. Its second word about it changes nothing.
    ///
    /// - Returns: whether it was the first.
    mutating func acknowledge(_ id: UInt64, _ text: String) -> Bool {
        guard let index = pending.firstIndex(where: { $0.id == id }) else { return false }
        pending.remove(at: index)
        results.append(Result(id: id, text: text))
        results = results.suffix(Self.maxResults)
        return true
    }

    /// The device says what it did last: what it has done and could not say. Its result is lost with the connection.
    ///
    /// A device that is ahead of the mailbox shows that this one is an old copy. The ids go on behind the device's, since it does
    /// nothing for one that it has had; what has become of those that wait only the operator can find out.
    ///
    /// - Parameter id: at most `greatestLast`.
    /// - Returns: what is ended by it.
    mutating func acknowledge(through id: UInt64) -> [Result] {
        let text = id <= lastID ? "done before" : "unknown, for the device has had commands that the store has lost"
        let ended = pending.filter { $0.id <= id }.map { Result(id: $0.id, text: text) }
        for result in ended { _ = acknowledge(result.id, result.text) }
        lastID = max(lastID, min(id, Self.greatestLast))
        return ended
    }
}
