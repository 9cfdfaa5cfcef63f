/// A certificate that listeners may show.
package struct Certificate: Hashable, Sendable {
    /// The PEM file of the certificate and those that lead to its root.
    package var chain = ""
    /// The PEM file of its private key.
    package var key = ""
    /// The server names it is for; empty: those in the certificate.
    package var names: [ServerNamePattern] = []

    /// Where an OCSP response to send with it comes from.
    package enum OCSP: Hashable, Sendable {
        /// A file that others keep up to date.
        case file(String)
        /// The responder that the certificate names.
        case fetch

        /// The file that others keep up to date.
        package var path: String? { if case .file(let path) = self { path } else { nil } }
    }

    /// Where an OCSP response to send with it comes from; nil: none is sent.
    package var ocsp: OCSP?

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
            "ocsp", \.ocsp, .optional(.ocsp),
            "File of an OCSP response in DER to staple, which is read again within seconds when it changes; or `fetch`: the server "
                + "asks the responder that the certificate names, ahead of time."),
    ]
}

extension SettingFormat where Value == ServerNamePattern {
    static var serverName: SettingFormat {
        .word(ServerNamePattern.forms, read: { ServerNamePattern($0) }, write: { "\($0)" })
    }
}

extension SettingFormat where Value == Certificate.OCSP {
    static var ocsp: SettingFormat {
        .word(
            "a path, or fetch",
            read: { word in
                if word == "fetch" { return .fetch }
                return SettingFormat<String>.path.read(.scalar(word)).map(Certificate.OCSP.file)
            },
            write: { if case .file(let path) = $0 { path } else { "fetch" } })
    }
}
