internal import BatonConfiguration
internal import SessionEngine

/// How large the arena of a worker's relays is.
extension Limits {
    /// The most relays.
    var relaySlots: Int { min(connections, relaysPerWorker) }

    /// Pieces of memory for the bytes that wait in them.
    var relayExtents: Int { (relayMemory ?? Limits.suitableRelayMemory) / Arena.extentSize }

    /// A GiB, or what leaves a small machine room for the rest.
    private static var suitableRelayMemory: Int { max(1 << 20, min(1 << 30, SystemMemory.total / 2)) }
}
