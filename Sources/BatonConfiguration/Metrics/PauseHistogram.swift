/// How long connections stood still when they moved: a histogram of fixed size with logarithmic buckets, each divided
/// in 32, so that a percentile is at most 3.2 % too high. Histograms of several processes add up without loss.
///
/// Times are in nanoseconds. What is longer than 2^40 ns (18 minutes) counts in the last bucket; `max` is exact.
package struct PauseHistogram: Sendable, Equatable {
    /// 2^5 linear steps up to 32, and 2^5 in every further power of two up to 2^40.
    private static let precision = 5
    private static let highestPower = 40
    static let bucketCount = (highestPower - precision + 1) << precision

    private var buckets = [UInt64](repeating: 0, count: bucketCount)
    /// The number of pauses recorded.
    package private(set) var count: UInt64 = 0
    /// The longest pause in nanoseconds; 0 when there is none.
    package private(set) var max: UInt64 = 0
    /// All pauses together, in nanoseconds.
    package private(set) var sum: UInt64 = 0

    /// Creates an empty histogram.
    package init() {}

    /// Counts one pause.
    package mutating func record(nanoseconds: UInt64) {
        add(1, toBucket: Self.bucket(of: nanoseconds))
        sum = sum.addingSaturated(nanoseconds)
        max = Swift.max(max, nanoseconds)
    }

    /// Adds what another process recorded.
    package mutating func merge(_ other: PauseHistogram) {
        for (index, number) in other.buckets.enumerated() where number > 0 { add(number, toBucket: index) }
        sum = sum.addingSaturated(other.sum)
        max = Swift.max(max, other.max)
    }

    /// The time in nanoseconds within which this share of the pauses ended; 0 when there is none.
    ///
    /// - Parameter share: 0.5 for the median, 0.99 for the 99th percentile. Values beyond 0...1 count as the nearest.
    package func percentile(_ share: Double) -> UInt64 {
        guard count > 0 else { return 0 }
        let clamped = share.isNaN ? 1 : Swift.min(Swift.max(share, 0), 1)
        // The product can round above `count`, and to more than fits when the counters are saturated.
        let rank = UInt64(exactly: (clamped * Double(count)).rounded(.up)) ?? count
        var seen: UInt64 = 0
        for (index, number) in buckets.enumerated() {
            seen = seen.addingSaturated(number)
            if seen >= Swift.max(rank, 1) { return Swift.min(Self.highestValue(inBucket: index), max) }
        }
        return max
    }

    /// The buckets that hold something: their greatest time in nanoseconds, and how many pauses.
    package var filled: [(nanoseconds: UInt64, count: UInt64)] {
        buckets.enumerated().filter { $0.element > 0 }.map {
            (Swift.min(Self.highestValue(inBucket: $0.offset), max), $0.element)
        }
    }

    private mutating func add(_ number: UInt64, toBucket index: Int) {
        buckets[index] = buckets[index].addingSaturated(number)
        count = count.addingSaturated(number)
    }

    private static func bucket(of value: UInt64) -> Int {
        let value = Swift.min(value, (1 << highestPower) - 1)
        guard value >= 1 << precision else { return Int(value) }
        let power = 63 - value.leadingZeroBitCount
        let shift = power - precision
        return (shift << precision) + Int(value >> shift)
    }

    private static func highestValue(inBucket index: Int) -> UInt64 {
        guard index >= 1 << precision else { return UInt64(index) }
        // The last bucket also holds everything beyond it.
        guard index < bucketCount - 1 else { return .max }
        let shift = (index >> precision) - 1
        let step = UInt64(index - (shift << precision))
        return ((step + 1) << shift) - 1
    }
}

extension PauseHistogram: Codable {
    private enum CodingKeys: String, CodingKey {
        case max
        case sum
        case buckets
    }

    /// Writes the buckets that hold something, as pairs of index and number.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(max, forKey: .max)
        try container.encode(sum, forKey: .sum)
        let pairs = buckets.enumerated().filter { $0.element > 0 }.flatMap { [UInt64($0.offset), $0.element] }
        try container.encode(pairs, forKey: .buckets)
    }

    /// Reads what `encode` wrote.
    ///
    /// - Throws: `DecodingError` for a bucket that does not exist or stands out of order.
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init()
        let pairs = try container.decode([UInt64].self, forKey: .buckets)
        var next: UInt64 = 0
        guard pairs.count.isMultiple(of: 2), pairs.count <= 2 * Self.bucketCount else {
            throw Self.corrupted(container)
        }
        for i in stride(from: 0, to: pairs.count, by: 2) {
            guard next..<UInt64(Self.bucketCount) ~= pairs[i] else { throw Self.corrupted(container) }
            next = pairs[i] + 1
            add(pairs[i + 1], toBucket: Int(pairs[i]))
        }
        max = try container.decode(UInt64.self, forKey: .max)
        sum = try container.decodeIfPresent(UInt64.self, forKey: .sum) ?? 0
    }

    private static func corrupted(_ container: KeyedDecodingContainer<CodingKeys>) -> DecodingError {
        .dataCorruptedError(
            forKey: .buckets, in: container, debugDescription: "not pairs of ascending index and number")
    }
}

extension UInt64 {
    fileprivate func addingSaturated(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
