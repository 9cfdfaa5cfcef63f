/// Measures two ways of doing a thing by turns, so that what else the machine does falls on both.
enum Alternation {
    /// - Parameters:
    ///   - rounds: how many figures to take of each, after one that is not counted.
    ///   - first: one round; returns its figure.
    ///   - second: one round of the rival.
    static func measure(
        rounds: Int = 101, _ first: () throws -> Double, _ second: () throws -> Double
    ) rethrows -> (first: Spread, second: Spread) {
        _ = try first()
        _ = try second()
        var figures: [Double] = []
        var rivals: [Double] = []
        figures.reserveCapacity(rounds)
        rivals.reserveCapacity(rounds)
        for _ in 0..<rounds {
            figures.append(try first())
            rivals.append(try second())
        }
        return (Spread(figures), Spread(rivals))
    }
}
