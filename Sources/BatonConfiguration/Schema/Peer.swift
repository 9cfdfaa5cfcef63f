/// Another host that connections may move to and come from.
package struct Peer: Hashable, Sendable {
    /// Where its `migration.listen` is reached.
    package var address = Address.tcp(.any, port: 0)
    /// The name its certificate must have.
    package var name = ""

    /// Creates one without an address.
    package init() {}
}

extension Peer: SettingSection {
    static let settings: [Setting<Peer>] = [
        Setting(
            "address", \.address, .destination, isRequired: true,
            "Where the peer's `migration.listen` is reached, on the link of the first `migration.interface`."),
        Setting(
            "name", \.name, .hostName, isRequired: true,
            "The name in the peer's certificate. A host that shows another one gets nothing."),
    ]
}
