extension Route: SettingSection {
    static let settings: [Setting<Route>] = [
        Setting("target", \.target, .target, isRequired: true, "Where the connection goes."),
        Setting(
            "listeners", \.listeners, .list(of: .name, "names of listeners"), "Only connections to these listeners."),
        Setting(
            "server-names", \.serverNames, .list(of: .serverName, ServerNamePattern.forms),
            "Only connections that ask for one of these names. `*.` stands for any depth below the domain, not for itself."
        ),
        Setting(
            "alpn", \.alpn, .list(of: .applicationProtocol, "ALPN protocol names"),
            "Only connections that agreed on one of these protocols."),
        Setting(
            "methods", \.methods, .list(of: .text("an HTTP method", isMethod), "HTTP methods"),
            "Only connections whose first HTTP/1 request has one of these methods."),
        Setting(
            "path", \.path, .optional(.text("a path that begins with / and has no ? or #", isPath), none: "any"),
            "Only connections whose first HTTP/1 request has this path or one below it, compared as sent."),
        Setting(
            "affinity", \.affinity, .optional(.affinity, none: "none"),
            "What connections have in common that go to the same of the upstream's addresses, and try the others in an order of "
                + "their own: the client's address, the server name it asks for, or a field in the query of its first HTTP/1 "
                + "request. A connection without it goes where the upstream's `balance` says."),
        Setting(
            "client-rules", \.clientRules, .list(of: .clientRule, ClientRule.forms),
            "Which clients may come to its target, of those that the listener lets in. Who is refused here is not tried with "
                + "another route. Empty: all."),
    ]

    @Sendable private static func isMethod(_ text: String) -> Bool {
        1...RequestLine.methodLimit ~= text.utf8.count
            && text.utf8.allSatisfy { $0.isLetterOrDigit || $0 == UInt8(ascii: "-") }
    }

    @Sendable private static func isPath(_ text: String) -> Bool {
        text.hasPrefix("/") && text.utf8.allSatisfy { 0x21...0x7E ~= $0 && !"?#".utf8.contains($0) }
    }
}

extension SettingFormat where Value == Affinity {
    static var affinity: SettingFormat { .word(Affinity.forms, read: { Affinity($0) }, write: { "\($0)" }) }
}

extension SettingFormat where Value == Target {
    static var target: SettingFormat { .word(Target.forms, read: { Target($0) }, write: { "\($0)" }) }
}
