internal import BatonConfiguration

/// A listener is here what the configuration has, not a channel of `BatonNIO`.
typealias Listener = BatonConfiguration.Listener
/// An address is here what the configuration has; `HostMigration` has a form of its own.
typealias IPAddress = BatonConfiguration.IPAddress
/// An end of a connection is here what the configuration has; `HostMigration` has a form of its own.
typealias Endpoint = BatonConfiguration.Endpoint
