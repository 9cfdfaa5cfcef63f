/// What a figure should be.
enum Aim {
    /// At least this many times as fast as the rival.
    case timesAsFast(Double)
    /// At most this many times as long as the rival.
    case timesAsLong(Double)
    /// A rate of at least this many times the rival's.
    case timesAsMany(Double)
    /// The median is at most this.
    case atMost(Double)
    /// The median is at least this.
    case atLeast(Double)

    func isMet(by figure: Spread, beside rival: Spread?) -> Bool {
        switch self {
        case .timesAsFast(let factor): rival.map { $0.median >= figure.median * factor } ?? false
        case .timesAsLong(let factor): rival.map { figure.median <= $0.median * factor } ?? false
        case .timesAsMany(let factor): rival.map { figure.median >= $0.median * factor } ?? false
        case .atMost(let limit): figure.median <= limit
        case .atLeast(let limit): figure.median >= limit
        }
    }
}

extension Aim: CustomStringConvertible {
    var description: String {
        switch self {
        case .timesAsFast(let factor): "≥ \(number(factor)) × as fast"
        case .timesAsLong(let factor): "≤ \(number(factor)) × as long"
        case .timesAsMany(let factor): "≥ \(number(factor)) × as many"
        case .atMost(let limit): "≤ \(number(limit))"
        case .atLeast(let limit): "≥ \(number(limit))"
        }
    }
}
