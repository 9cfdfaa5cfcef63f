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

    static let mostPending = 100
    private static let mostResults = 32

    private(set) var pending: [Command] = []
    private(set) var results: [Result] = []
    private var lastID: UInt64 = 0
    var triggerAddress: TriggerAddress?

    /// Adds a command.
    ///
    /// - Returns: its id; `nil` if too many wait.
    mutating func add(_ text: String) -> UInt64? {
        guard pending.count < Self.mostPending else { return nil }
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
        results = results.suffix(Self.mostResults)
        return true
    }

    /// The device says what it did last: what it has done and could not say. Its result is lost with the connection.
    ///
    /// - Returns: what is known to be done by it.
    mutating func acknowledge(through id: UInt64) -> [Result] {
        let done = pending.filter { $0.id <= id }.map { Result(id: $0.id, text: "done before") }
        for result in done { _ = acknowledge(result.id, result.text) }
        return done
    }
}
