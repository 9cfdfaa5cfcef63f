/// A number of bytes, written as a whole number with K, M or G for powers of 1024, or none.
struct ByteSize: Hashable, Sendable {
    let bytes: Int

    private static let units: [(letter: String, size: Int)] = [("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)]

    init(_ bytes: Int) {
        self.bytes = bytes
    }

    /// Nil if it is written in another way or does not fit.
    init?(_ text: String) {
        let unit = Self.units.first { text.hasSuffix($0.letter) }
        let digits = text.dropLast(unit == nil ? 0 : 1)
        guard digits.utf8.allSatisfy(\.isDigit), let number = Int(digits) else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: unit?.size ?? 1)
        guard !overflow else { return nil }
        self.bytes = bytes
    }
}

extension ByteSize: CustomStringConvertible {
    /// In the largest unit that gives a whole number.
    var description: String {
        let unit = Self.units.first { bytes > 0 && bytes.isMultiple(of: $0.size) }
        return unit.map { "\(bytes / $0.size)\($0.letter)" } ?? "\(bytes)"
    }
}
