/// One sweep of a drain over the sessions of a worker: those that have not been offered in it. Some may have ended since.
struct MigrationSweep {
    let number: UInt64
    /// The last is next.
    private var waiting: [UInt64]

    init(number: UInt64, waiting: [UInt64]) {
        self.number = number
        self.waiting = waiting
    }

    /// How many have not been offered.
    var left: Int { waiting.count }

    /// The next to be offered; `nil` if there is none.
    mutating func next() -> UInt64? { waiting.popLast() }

    /// These could not leave. They are tried again when all others have been.
    mutating func putBack(_ numbers: [UInt64]) { waiting.insert(contentsOf: numbers, at: 0) }

    /// What a connection carries that has been offered in the sweep of this number.
    static func mark(_ number: UInt64) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } }
}
