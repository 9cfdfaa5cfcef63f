/// Label names and values as the text format writes them.
struct PrometheusLabels: Hashable, Sendable {
    /// `name="value",…`, sorted by name, without braces.
    let text: String

    /// Of two labels with the same name the last holds; `le` is the histograms' own.
    init(_ dimensions: [(String, String)]) {
        var values: [String: String] = [:]
        for (name, value) in dimensions {
            let name = Self.labelName(name)
            values[name == "le" ? "le_" : name] = value
        }
        text = values.sorted { $0.key < $1.key }.map { "\($0.key)=\"\(Self.escaped($0.value, quotes: true))\"" }
            .joined(separator: ",")
    }

    /// `[a-zA-Z_:][a-zA-Z0-9_:]*`
    static func metricName(_ label: String) -> String { name(label, colons: true) }

    /// `[a-zA-Z_][a-zA-Z0-9_]*`; what begins with two `_` is Prometheus' own.
    static func labelName(_ label: String) -> String {
        let name = name(label, colons: false)
        return name.hasPrefix("__") ? "x_" + name.drop { $0 == "_" } : name
    }

    /// Backslash and line feed, and in label values the quote.
    static func escaped(_ value: String, quotes: Bool) -> String {
        var text = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\"" where quotes: text += "\\\""
            // A bare CR would end a line for some readers.
            case "\r": text += " "
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }

    private static func name(_ label: String, colons: Bool) -> String {
        var bytes = label.utf8.map { byte in
            byte.isLetterOrDigit || (colons && byte == UInt8(ascii: ":")) ? byte : UInt8(ascii: "_")
        }
        if bytes.first.map(\.isDigit) ?? true { bytes.insert(UInt8(ascii: "_"), at: 0) }
        return String(decoding: bytes, as: UTF8.self)
    }
}
