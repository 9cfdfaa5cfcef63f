internal import BatonConfiguration

/// A listener is here what the configuration has, not a channel of `BatonNIO`.
typealias Listener = BatonConfiguration.Listener
