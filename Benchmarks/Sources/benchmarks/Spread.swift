/// One figure over all rounds.
struct Spread: Encodable {
    let minimum: Double
    let median: Double
    let maximum: Double

    /// - Parameter samples: at least one.
    init(_ samples: [Double]) {
        let sorted = samples.sorted()
        minimum = sorted[0]
        median = sorted[sorted.count / 2]
        maximum = sorted[sorted.count - 1]
    }
}
