internal import BatonConfiguration
internal import HostMigration

/// The two forms of an address: the configuration's and the kernel-facing module's.
extension IPAddress {
    var migration: HostMigration.IPAddress {
        // 4 or 16 octets always make one.
        HostMigration.IPAddress(octets) ?? .unspecified
    }
}

extension HostMigration.IPAddress {
    static let unspecified = HostMigration.IPAddress([0, 0, 0, 0])!

    var proxy: IPAddress { IPAddress(description) ?? .v4(0) }
}
