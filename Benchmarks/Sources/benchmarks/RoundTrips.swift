/// What a client has measured in a stretch of time, in microseconds.
struct RoundTrips: Codable {
    var count: Int
    var median: Double
    var longest: Double

    /// - Parameter nanoseconds: of each, in any order.
    init(nanoseconds: [UInt32]) {
        let sorted = nanoseconds.sorted()
        count = sorted.count
        median = sorted.isEmpty ? 0 : Double(sorted[sorted.count / 2]) / 1_000
        longest = Double(sorted.last ?? 0) / 1_000
    }
}

extension [Double] {
    /// - Precondition: there is at least one.
    func percentile(_ share: Int) -> Double { sorted()[Swift.min(count - 1, count * share / 100)] }
}
