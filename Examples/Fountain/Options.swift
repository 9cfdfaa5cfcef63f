import Glibc

/// The words of the command line.
struct Options {
    private var values = ["port": "0", "rate": "4000000"]

    init(_ arguments: [String]) {
        var words = arguments.dropFirst()
        while let word = words.popFirst() {
            guard ["--file", "--port", "--control", "--rate"].contains(word), let value = words.popFirst() else {
                Self.explain("\(word) is no option, or has no value")
            }
            values[String(word.dropFirst(2))] = value
        }
        for name in ["file", "control"] where values[name] == nil { Self.explain("--\(name) is missing") }
        guard UInt16(self["port"]) != nil else { Self.explain("--port is a number to 65535") }
        guard let rate = Int(self["rate"]), 10_000...10_000_000_000 ~= rate else {
            Self.explain("--rate is 10000 to 10000000000 bytes a second")
        }
    }

    subscript(name: String) -> String { values[name] ?? "" }

    var port: UInt16 { UInt16(self["port"]) ?? 0 }

    /// The most bytes a second to one peer.
    var rate: Int { Int(self["rate"]) ?? 0 }

    private static func explain(_ problem: String) -> Never {
        print("\(problem); use: Fountain --file FILE --control PATH [--port N] [--rate BYTES]")
        exit(2)
    }
}
