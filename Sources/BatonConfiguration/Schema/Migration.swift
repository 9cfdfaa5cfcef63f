package import BatonCore

/// How connections move between this host and others.
package struct Migration: Hashable, Sendable {
    /// Where other hosts are listened to; nil: connections only leave this one.
    package var listen: Address?
    /// The PEM file of the certificate, and those that lead to its root, that this host shows to others.
    package var certificate: String?
    /// The PEM file of its private key.
    package var key: String?
    /// The PEM file of the authorities that may have signed the other hosts' certificates.
    package var ca: String?
    /// The interfaces by which connections' packets arrive; the first is the link shared with the other hosts.
    package var interfaces: [String] = []
    /// The service addresses: connections move with these local addresses only.
    package var addresses: [IPAddress] = []
    /// The most bytes a second that are sent to another host; nil: no limit.
    package var bandwidth: Int?
    /// The program that makes this host answer for an address; nil: Baton does it itself.
    package var takeCommand: String?
    /// The program that makes this host answer for an address no more; nil: Baton does it itself.
    package var leaveCommand: String?

    /// Nothing moves.
    package init() {}

    /// Whether there is anything to do with it.
    package var isConfigured: Bool { !interfaces.isEmpty }

    static let settings: [Setting<Configuration>] = [
        Setting(
            "migration.listen", \.migration.listen, .optional(.address),
            "Where other hosts of `peers` may connect to hand over their connections."),
        Setting(
            "migration.certificate", \.migration.certificate, .optional(.path),
            "PEM file of the certificate that this host shows to its peers, followed by those that lead to its root."),
        Setting(
            "migration.key", \.migration.key, .optional(.path), "PEM file of the private key of that certificate."),
        Setting(
            "migration.ca", \.migration.ca, .optional(.path),
            "PEM file of the authorities that may have signed the peers' certificates."),
        Setting(
            "migration.interface", \.migration.interfaces,
            .list(of: .interface, "network interfaces"),
            "The interfaces by which the connections' packets arrive. The first is the link shared with the peers."),
        Setting(
            "migration.addresses", \.migration.addresses, .list(of: .ipAddress, "IPv4 or IPv6 addresses"),
            "The service addresses. Only connections with one of them as local address move, and are taken."),
        Setting(
            "migration.bandwidth", \.migration.bandwidth, .optional(.size(64 << 10...1 << 40)),
            "The most bytes a second to send to a peer."),
        Setting(
            "migration.take-command", \.migration.takeCommand, .optional(.path),
            "The program that makes this host answer for a service address, its argument. `off`: gratuitous ARP."),
        Setting(
            "migration.leave-command", \.migration.leaveCommand, .optional(.path),
            "The program that makes this host answer for a service address, its argument, no more."),
    ]
}
