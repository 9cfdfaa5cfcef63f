/// A certificate that listeners may show.
public struct Certificate: Hashable, Sendable {
    /// The PEM file of the certificate and those that lead to its root.
    public var chain = ""
    /// The PEM file of its private key.
    public var key = ""
    /// The server names it is for; empty: those in the certificate.
    public var names: [ServerNamePattern] = []

    /// Creates an empty one.
    public init() {}
}

extension Certificate: SettingSection {
    static let settings: [Setting<Certificate>] = [
        Setting(
            "chain", \.chain, .path, isRequired: true,
            "PEM file of the certificate, followed by those that lead to its root."),
        Setting("key", \.key, .path, isRequired: true, "PEM file of the private key."),
        Setting(
            "names", \.names, .list(of: .serverName, ServerNamePattern.forms),
            "The server names it is for. Empty: the names in the certificate."),
    ]
}

extension SettingFormat where Value == ServerNamePattern {
    static var serverName: SettingFormat {
        .word(ServerNamePattern.forms, read: { ServerNamePattern($0) }, write: { "\($0)" })
    }
}
