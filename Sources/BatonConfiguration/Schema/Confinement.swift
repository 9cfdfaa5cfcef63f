/// Whether the processes that speak with peers give up what they have no use for.
package enum Confinement: String, Hashable, Sendable, CaseIterable {
    /// As far as the kernel knows how.
    case auto
    case off
    /// A process that cannot does not start.
    case require
}
