/// The words of the command line: `--name value`, or `--name` alone.
struct Options {
    private var values: [String: String] = [:]

    init(_ arguments: [String]) {
        var name: String?
        for word in arguments.dropFirst() {
            if word.hasPrefix("--") {
                name = String(word.dropFirst(2))
                values[name ?? ""] = ""
            } else if let current = name {
                values[current] = word
                name = nil
            }
        }
    }

    func has(_ name: String) -> Bool { values[name] != nil }

    subscript(name: String) -> String { values[name] ?? "" }
}
