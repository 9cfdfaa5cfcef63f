import BatonCore

/// How a kind of value is written: reads it, writes it for documents, and says in words what is allowed.
struct SettingFormat<Value>: Sendable {
    /// What is allowed, in words that follow 'must be'.
    let allowed: String
    /// Nil if the text is not allowed.
    let read: @Sendable (SettingValue) -> Value?
    /// The text that `read` reads.
    let write: @Sendable (Value) -> String
    /// All words that are allowed, if they can be counted: what a shell offers.
    var words: [String] = []
    /// Whether it takes several.
    var isList = false
}

extension SettingFormat {
    /// One word.
    static func word(
        _ allowed: String, words: [String] = [], read: @escaping @Sendable (String) -> Value?,
        write: @escaping @Sendable (Value) -> String
    ) -> SettingFormat {
        SettingFormat(
            allowed: allowed,
            read: { if case .scalar(let word) = $0 { read(word) } else { nil } }, write: write, words: words)
    }

    /// What another format reads, or a word that says that there is none.
    static func optional<Wrapped>(_ format: SettingFormat<Wrapped>, none: String = "off") -> SettingFormat
    where Value == Wrapped? {
        SettingFormat(
            allowed: "\(format.allowed), or \(none)",
            read: { value in
                if value == .scalar(none) { return .some(nil) }
                return format.read(value).map(Optional.some)
            },
            write: { $0.map(format.write) ?? none },
            words: format.words.isEmpty ? [] : format.words + [none], isList: format.isList)
    }

    /// A list of words, each in another format; a single word is a list of one.
    static func list<Element>(of format: SettingFormat<Element>, _ allowed: String, atLeast least: Int = 0)
        -> SettingFormat
    where Value == [Element] {
        SettingFormat(
            allowed: "\(least > 0 ? "one or more" : "a list") of: \(allowed)",
            read: { value in
                let elements = value.words.compactMap { format.read(.scalar($0)) }
                return elements.count == value.words.count && elements.count >= least ? elements : nil
            },
            write: { elements in "[" + elements.map(format.write).joined(separator: ", ") + "]" },
            words: format.words, isList: true)
    }
}

extension SettingFormat where Value: CaseIterable & RawRepresentable & Sendable, Value.RawValue == String {
    /// One of the cases.
    static var choice: SettingFormat {
        let words = Value.allCases.map(\.rawValue)
        return .word(
            words.joined(separator: ", "), words: words, read: { Value(rawValue: $0) }, write: { $0.rawValue })
    }
}

extension SettingFormat where Value == Bool {
    static var flag: SettingFormat {
        .word("true or false", words: ["true", "false"], read: { Bool($0) }, write: { "\($0)" })
    }
}

extension SettingFormat where Value == Int {
    static func count(_ range: ClosedRange<Int>) -> SettingFormat {
        .word(
            "a number from \(range.lowerBound) to \(range.upperBound)",
            read: { word in
                guard word.utf8.allSatisfy(\.isDigit), let number = Int(word) else { return nil }
                return range.contains(number) ? number : nil
            }, write: { "\($0)" })
    }

    static func size(_ range: ClosedRange<Int>) -> SettingFormat {
        .word(
            "a size from \(ByteSize(range.lowerBound)) to \(ByteSize(range.upperBound)), as 64K, 1M or 2G",
            read: { word in ByteSize(word).flatMap { range.contains($0.bytes) ? $0.bytes : nil } },
            write: { "\(ByteSize($0))" })
    }
}

extension SettingFormat where Value == Duration {
    static func duration(_ range: ClosedRange<Duration>) -> SettingFormat {
        .word(
            "a time from \(TimeSpan(range.lowerBound)) to \(TimeSpan(range.upperBound)), as 250ms, 5s or 2m",
            read: { word in TimeSpan(word).flatMap { range.contains($0.duration) ? $0.duration : nil } },
            write: { "\(TimeSpan($0))" })
    }
}

extension SettingFormat where Value == String {
    static var path: SettingFormat {
        .word(
            "a path",
            // A key's own text in place of its file's name would be told in messages.
            read: { $0.isEmpty || $0.utf8.contains(0) || $0.utf8.count > 4095 || $0.contains("-----BEGIN") ? nil : $0 },
            write: { $0 })
    }

    /// A path that a Unix socket can be bound to.
    static var socketPath: SettingFormat {
        .word(
            "an absolute path of at most \(Address.unixPathLimit) bytes",
            read: { word in
                if case .unix(let path)? = try? Address("unix:" + word) { path } else { nil }
            }, write: { $0 })
    }

    static var hostName: SettingFormat { .word("a host name", read: { HostName($0)?.text }, write: { $0 }) }

    static var name: SettingFormat { .word("a name", read: { SettingName($0)?.text }, write: { $0 }) }

    /// A protocol of ALPN: 1 to 255 bytes (RFC 7301 section 3.1), here printable ASCII.
    static var applicationProtocol: SettingFormat {
        .word(
            "a protocol name",
            read: { 1...255 ~= $0.utf8.count && $0.utf8.allSatisfy { 0x21...0x7E ~= $0 } ? $0 : nil },
            write: { $0 })
    }

    /// A name of Linux: 1 to 15 bytes without white space, slash or quote.
    static var interface: SettingFormat {
        .word(
            "a network interface",
            read: { word in
                let isName = 1...15 ~= word.utf8.count && word.utf8.allSatisfy { 0x21...0x7E ~= $0 }
                return isName && !word.contains("/") && !word.contains("\"") ? word : nil
            }, write: { $0 })
    }

    static func text(_ allowed: String, _ isAllowed: @escaping @Sendable (String) -> Bool) -> SettingFormat {
        .word(allowed, read: { isAllowed($0) ? $0 : nil }, write: { $0 })
    }
}

extension SettingFormat where Value == IPAddress {
    static var ipAddress: SettingFormat {
        .word("an IPv4 or IPv6 address", read: { IPAddress($0)?.unmapped }, write: { "\($0)" })
    }
}

extension SettingFormat where Value == Address {
    static var address: SettingFormat {
        .word(Address.forms, read: { try? Address($0) }, write: { "\($0)" })
    }

    /// One that a connection can be made to.
    static var destination: SettingFormat {
        .word(
            "HOST:PORT, [IPV6]:PORT or unix:/PATH",
            read: { word in (try? Address(word)).flatMap { $0.canBeConnectedTo ? $0 : nil } }, write: { "\($0)" })
    }
}
