internal import BatonConfiguration
internal import BatonCore

/// Who is being authenticated at the migration listener: one connection for each configured peer's address and for each of a
/// few other sources, so that whoever connects and says nothing, from as many addresses as it has, keeps no peer out. The
/// latest connection of a source is the one that counts, and the oldest other source gives way to a new one: nothing
/// that was left silent stands against a handshake, which takes milliseconds.
///
/// It does no I/O.
struct PeerAdmission {
    /// A connection's place among them.
    typealias Place = UInt64

    /// So many connections of other sources than the peers' may be there at a time.
    static let maxStrangers = 8

    /// The addresses from which peers are expected.
    private var peers: Set<IPAddress> = []
    private var places: [(place: Place, source: IPAddress)] = []
    private var last: Place = 0

    /// A configured peer is reached at these addresses, and comes from there.
    mutating func expect(_ addresses: [IPAddress]) { peers.formUnion(addresses.map(\.unmapped)) }

    /// Lets a connection in. `hangUp` had the place until now.
    mutating func admit(from source: IPAddress) -> (place: Place, hangUp: Place?) {
        let source = peers.contains(source.unmapped) ? source.unmapped : ConnectionLimits.group(of: source)
        var given = places.firstIndex { $0.source == source }
        if given == nil, !peers.contains(source) {
            let strangers = places.indices.filter { !peers.contains(places[$0].source) }
            if strangers.count >= Self.maxStrangers { given = strangers.first }
        }
        let hangUp = given.map { places.remove(at: $0).place }
        last += 1
        places.append((last, source))
        return (last, hangUp)
    }

    /// The connection is authenticated, or at its end.
    mutating func leave(_ place: Place) { places.removeAll { $0.place == place } }
}
