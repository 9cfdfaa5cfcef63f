internal import BatonConfiguration
internal import BatonCore
internal import Handoff

/// What decides where a parcel goes.
struct PlacementOrder: Sendable {
    /// `nil`: what the client says first decides.
    let target: Target?
    /// What the limits count it under.
    var source: IPAddress?
    /// Since when it is to be placed, on the monotonic clock in nanoseconds.
    let since: UInt64
    /// Where it has come back from: others are tried first.
    var avoided: String?

    init(target: Target? = nil, source: IPAddress? = nil, since: UInt64, avoided: String? = nil) {
        self.target = target
        self.source = source
        self.since = since
        self.avoided = avoided
    }

    init(_ metadata: ParcelMetadata) {
        self.init(
            target: metadata.target, source: metadata.source?.address, since: metadata.detachedAt ?? 0)
    }
}
