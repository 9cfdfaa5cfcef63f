package import BatonCore

/// What the privileged process may do at all. It is told when it is started, by the process that starts it, and nobody
/// who talks to it can widen it.
package struct NetworkPolicy: Sendable {
    /// The interfaces by which connections' packets arrive; moved flows are forwarded by the first.
    package var interfaces: [String]
    /// The service addresses: connections are restored on these alone, and these alone move.
    package var addresses: [IPAddress]
    /// A program that makes this host answer for an address, instead of Baton; its argument is the address.
    package var takeCommand: String?
    /// A program that makes this host answer for an address no more.
    package var leaveCommand: String?

    /// A policy.
    package init(
        interfaces: [String], addresses: [IPAddress], takeCommand: String? = nil, leaveCommand: String? = nil
    ) {
        self.interfaces = interfaces
        self.addresses = addresses
        self.takeCommand = takeCommand
        self.leaveCommand = leaveCommand
    }

    func permits(_ flow: Flow) -> Bool { addresses.contains(flow.local.address) }
}
