import Foundation

/// The words of the command line: each option has a value, and none may be missing.
struct Options {
    private static let names = ["port", "cert", "key", "ca", "operator", "store", "control"]
    private var values: [String: String] = [:]

    init(_ arguments: [String]) {
        var words = arguments.dropFirst()
        while let word = words.popFirst() {
            let name = String(word.dropFirst(2))
            guard word.hasPrefix("--"), Self.names.contains(name), let value = words.popFirst() else {
                Self.explain("\(word) is no option, or has no value")
            }
            values[name] = value
        }
        for name in Self.names where values[name] == nil { Self.explain("--\(name) is missing") }
    }

    subscript(name: String) -> String { values[name] ?? "" }

    private static func explain(_ problem: String) -> Never {
        print("\(problem); use: DeviceLink " + names.map { "--\($0) …" }.joined(separator: " "))
        exit(2)
    }
}
