/// A time, written as a whole number with ms, s, m, h or d.
struct TimeSpan: Hashable, Sendable {
    let duration: Duration

    private static let units: [(suffix: String, milliseconds: Int64)] = [
        ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("ms", 1), ("s", 1000),
    ]

    init(_ duration: Duration) {
        self.duration = duration
    }

    /// Nil if it is written in another way or is longer than 10,000 days.
    init?(_ text: String) {
        let suffix = text.drop { $0.isASCII && $0.isNumber }
        guard let unit = Self.units.first(where: { $0.suffix == suffix }),
            let number = Int64(text.dropLast(suffix.count))
        else { return nil }
        let (milliseconds, overflow) = number.multipliedReportingOverflow(by: unit.milliseconds)
        guard !overflow, milliseconds <= 10_000 * 86_400_000 else { return nil }
        duration = .milliseconds(milliseconds)
    }
}

extension TimeSpan: CustomStringConvertible {
    /// In the largest unit that gives a whole number of them; parts of a millisecond are dropped.
    var description: String {
        let (seconds, attoseconds) = duration.components
        let milliseconds = seconds * 1000 + attoseconds / 1_000_000_000_000_000
        let unit = Self.units.filter { milliseconds.isMultiple(of: $0.milliseconds) && milliseconds > 0 }
            .max { $0.milliseconds < $1.milliseconds }
        return unit.map { "\(milliseconds / $0.milliseconds)\($0.suffix)" } ?? "0s"
    }
}
