extension String {
    /// The least number of letters to insert, remove, replace or swap with their neighbour that turns this word into
    /// the other (optimal string alignment). Only the first 128 letters count.
    func editDistance(to other: String) -> Int {
        let (a, b) = (Array(prefix(128)), Array(other.prefix(128)))
        var beforeLast = [Int](repeating: 0, count: b.count + 1)
        var last = Array(0...b.count)
        for i in a.indices {
            var row = [i + 1]
            for j in b.indices {
                var cost = Swift.min(row[j] + 1, last[j + 1] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = Swift.min(cost, beforeLast[j - 1] + 1) }
                row.append(cost)
            }
            (beforeLast, last) = (last, row)
        }
        return last[b.count]
    }
}
