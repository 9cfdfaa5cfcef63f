/// The words of the command line: `--name value`.
struct Options {
    private var values: [String: String] = [:]

    init(_ arguments: [String]) {
        var name: String?
        for word in arguments.dropFirst() {
            if word.hasPrefix("--") {
                name = String(word.dropFirst(2))
            } else if let current = name {
                values[current] = word
                name = nil
            }
        }
    }

    subscript(name: String) -> String? { values[name] }

    /// - Throws: one line that says what is missing.
    func required(_ name: String) throws -> String {
        guard let value = values[name] else { throw Usage("--\(name) is missing; see README.md") }
        return value
    }
}

/// What is wrong with the command line.
struct Usage: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
