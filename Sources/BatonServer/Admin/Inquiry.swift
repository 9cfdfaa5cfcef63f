/// A question to workers, of which some have answered.
struct Inquiry {
    private var waiting: Set<Int>
    private let count: Int
    /// What has come, by the workers' numbers.
    private(set) var listings: [Int: Listing] = [:]

    /// - Parameter workers: the numbers of those that are asked.
    init(of workers: Set<Int>) {
        waiting = workers
        count = workers.count
    }

    /// Only the first answer of whoever has been asked counts.
    mutating func answered(_ listing: Listing, by worker: Int) {
        if waiting.remove(worker) != nil { listings[worker] = listing }
    }

    /// A worker is gone, and will answer no more.
    mutating func ended(_ worker: Int) { waiting.remove(worker) }

    /// Whether nobody is waited for.
    var isSettled: Bool { waiting.isEmpty }

    /// Whether all that were asked have answered.
    var isComplete: Bool { listings.count == count }
}
