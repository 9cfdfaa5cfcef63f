internal import BatonCore
internal import HostMigration
internal import TLSRecords

/// What each side says of itself first.
struct LinkHello: Equatable {
    /// Protocol versions it speaks.
    var versions: ClosedRange<UInt8>
    /// The most parcels of a batch it takes.
    var maxParcels: Int
    /// Its own addresses on the shared link, to which flows that have moved to it are forwarded.
    var hop: NextHop
    /// Whether it takes connections now; a host that is being drained itself does not.
    var takesConnections: Bool

    var encoded: [UInt8] {
        var bytes: [UInt8] = [versions.lowerBound, versions.upperBound, takesConnections ? 1 : 0]
        bytes.append(UInt8(clamping: maxParcels))
        bytes.append(hop)
        return bytes
    }

    /// Nil if it is damaged. Later versions may append.
    init?(_ bytes: UnsafeRawBufferPointer) {
        var reader = WireReader(bytes)
        guard let lowest = reader.uint8(), let highest = reader.uint8(), lowest <= highest,
            let takes = reader.uint8(), let most = reader.uint8(), most > 0, let hop = reader.nextHop()
        else { return nil }
        versions = lowest...highest
        takesConnections = takes == 1
        maxParcels = Int(most)
        self.hop = hop
    }

    init(hop: NextHop, takesConnections: Bool) {
        versions = LinkProtocol.versions
        maxParcels = LinkProtocol.maxParcels
        self.hop = hop
        self.takesConnections = takesConnections
    }

    /// The version to speak with a peer that says `other`; nil if there is none in common.
    func common(with other: LinkHello) -> UInt8? {
        let version = min(versions.upperBound, other.versions.upperBound)
        return version >= max(versions.lowerBound, other.versions.lowerBound) ? version : nil
    }
}
