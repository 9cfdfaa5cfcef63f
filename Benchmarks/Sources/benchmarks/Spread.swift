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

    private init(minimum: Double, median: Double, maximum: Double) {
        self.minimum = minimum
        self.median = median
        self.maximum = maximum
    }

    /// The same in another unit.
    func scaled(_ factor: Double) -> Spread {
        Spread(minimum: minimum * factor, median: median * factor, maximum: maximum * factor)
    }
}
