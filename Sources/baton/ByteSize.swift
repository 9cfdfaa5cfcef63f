import ArgumentParser

/// A number of bytes as people write it: `1500`, `64K`, `256M`, `2G` (powers of 1,024).
struct ByteSize: ExpressibleByArgument, Equatable {
    let bytes: Int

    init(bytes: Int) { self.bytes = bytes }

    init?(argument: String) {
        let units: [Character: Int] = ["K": 10, "M": 20, "G": 30]
        let shift = argument.last.flatMap { units[Character($0.uppercased())] }
        guard let number = Int(shift == nil ? argument[...] : argument.dropLast()), number >= 0,
            number <= Int.max >> (shift ?? 0)
        else { return nil }
        bytes = number << (shift ?? 0)
    }

    /// Reads an argument, and says what would be right if it cannot.
    static func parse(_ argument: String) throws -> ByteSize {
        guard let size = ByteSize(argument: argument) else {
            throw ValidationError("use a whole number of bytes, with K, M or G behind it if you like, such as 64M")
        }
        return size
    }

    var defaultValueDescription: String { description }
}

extension ByteSize: CustomStringConvertible {
    var description: String {
        for (unit, shift) in [("G", 30), ("M", 20), ("K", 10)] where bytes > 0 && bytes % (1 << shift) == 0 {
            return "\(bytes >> shift)\(unit)"
        }
        return "\(bytes)"
    }
}
