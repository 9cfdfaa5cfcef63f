/// The messages of the handoff protocol. `docs/handoff.md` has their layouts.
enum MessageKind: UInt8 {
    // receiver to owner
    case hello = 1
    case accept = 3
    case decline = 4
    case committed = 6
    // owner to receiver
    case offer = 2
    case commit = 5
    case cancel = 7
    case chunk = 8
}

/// Numbers both sides of the protocol agree on.
enum HandoffProtocol {
    /// The versions of the protocol this build speaks.
    static let versions: ClosedRange<UInt8> = 1...1

    /// Kind, version, descriptor count, transfer.
    static let headerSize = 20

    /// The longest message. Two fit the kernel's default send buffer with its bookkeeping, so that one is read while
    /// the next is written.
    static let longestMessage = 64 * 1024

    /// OFFER: parcels, descriptors in all, sealed bytes in all.
    static let offerFieldsSize = 16

    /// CHUNK: the offset of its bytes.
    static let chunkFieldsSize = 8

    /// HELLO as this version writes it. Later versions may append to it.
    static let helloSize = headerSize + 68

    /// The most parcels in one transfer; it bounds the length of ACCEPT.
    static let maxParcels = 16_384

    static let descriptorsPerMessage = 253
}
