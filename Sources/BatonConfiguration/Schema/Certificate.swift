/// A certificate that listeners may show.
package struct Certificate: Hashable, Sendable {
    /// The PEM file of the certificate and those that lead to its root.
    package var chain = ""
    /// The PEM file of its private key.
    package var key = ""
    /// The server names it is for; empty: those in the certificate.
    package var names: [ServerNamePattern] = []

    /// The file of an OCSP response to send with it, which others keep up to date; nil: none is sent.
    package var ocsp: String?

    /// Creates an empty one.
    package init() {}
}

extension Certificate: SettingSection {
    static let settings: [Setting<Certificate>] = [
        Setting(
            "chain", \.chain, .path, isRequired: true,
            "PEM file of the certificate, followed by those that lead to its root."),
        Setting(
            "key", \.key, .path, isRequired: true,
            "PEM file of the private key: RSA, RSA-PSS, ECDSA, Ed25519 or Ed448, not encrypted."),
        Setting(
            "names", \.names, .list(of: .serverName, ServerNamePattern.forms),
            "The server names it is for; here `*.` stands for one label. Empty: the names in the certificate. Two may claim a "
                + "name if their keys are of different kinds."),
        Setting(
            "ocsp", \.ocsp, .optional(.path),
            "File of an OCSP response in DER to staple. It is read again within seconds when it changes."),
    ]
}

extension SettingFormat where Value == ServerNamePattern {
    static var serverName: SettingFormat {
        .word(ServerNamePattern.forms, read: { ServerNamePattern($0) }, write: { "\($0)" })
    }
}
