internal import BatonConfiguration

/// What to do so that the sockets are those of a configuration: which of those there are stay, whatever the configuration
/// calls them now, which are to be opened, and which are given up. Making a plan changes nothing; it may wait for a
/// resolver, and belongs on no event loop.
struct ListeningPlan: Sendable {
    /// A place at which there is no socket yet.
    struct Missing: Sendable, Hashable {
        var name: String
        var address: Address
        var place: ListeningPlace
    }

    /// Under the names that they have in the configuration.
    private(set) var kept: [ListeningSocket] = []
    private(set) var missing: [Missing] = []
    private(set) var surplus: [ListeningSocket]

    /// - Parameter sockets: that this server has, or that it was given.
    /// - Throws: `cannotListen` if two listeners have connections in common, or a name cannot be resolved.
    init(_ configuration: Configuration, having sockets: [ListeningSocket]) throws(RuntimeError) {
        surplus = sockets
        var wanted = configuration.listeners.sorted { $0.key < $1.key }.map { ($0.key, $0.value.address) }
        if let admin = configuration.admin { wanted.append((ListeningSocket.adminName, admin)) }
        // What has not been changed stays before others choose: a port the kernel chose has no other mark.
        let changed = wanted.filter { !keepUnchanged($0.0, $0.1) }
        var open: [Missing] = []
        for (name, address) in changed {
            do throws(RuntimeError) {
                open += try address.places().map { Missing(name: name, address: address, place: $0) }
            } catch {
                throw RuntimeError(.cannotListen, "\(Self.key(name)) \(address): \(error.message)")
            }
        }
        for wish in open where !keep(wish) { missing.append(wish) }
        try refuseOverlaps()
    }

    /// The key of a listener's address in the configuration.
    static func key(_ name: String) -> String { name == ListeningSocket.adminName ? "admin" : "listeners.\(name)" }

    /// A listener of the same name and address keeps all that it has. A name may lead elsewhere now.
    private mutating func keepUnchanged(_ name: String, _ address: Address) -> Bool {
        let own = surplus.filter { $0.name == name && $0.address == address }
        if case .tcp(.name, let port) = address, port != 0, !own.contains(where: \.isActivated) { return false }
        guard !own.isEmpty, own.allSatisfy(\.isReachable) else { return false }
        surplus.removeAll { own.contains($0) }
        kept += own
        return true
    }

    private mutating func keep(_ wish: Missing) -> Bool {
        var found =
            surplus.firstIndex { socket in
                if wish.place.port == 0 {
                    return socket.address == wish.address && socket.place.with(port: 0) == wish.place
                }
                return socket.place == wish.place && socket.isReachable
            }.map { [surplus[$0]] } ?? []
        if found.isEmpty, case .tcp(.any, _) = wish.address {
            // The service manager may have been asked for both families by one socket each, or only for one.
            found = surplus.filter { $0.isActivated && $0.place.port == wish.place.port && $0.place.isEverywhere }
        }
        surplus.removeAll { found.contains($0) }
        kept += found.map { socket in
            var socket = socket
            socket.name = wish.name
            socket.address = wish.address
            return socket
        }
        return !found.isEmpty
    }

    private func refuseOverlaps() throws(RuntimeError) {
        let all = kept.map { ($0.name, $0.place) } + missing.map { ($0.name, $0.place) }
        for (index, (name, place)) in all.enumerated() {
            guard let (other, taken) = all[..<index].first(where: { $0.1.overlaps(place) }) else { continue }
            throw RuntimeError(
                .cannotListen,
                "\(Self.key(name)) cannot listen at \(place): \(Self.key(other)) listens at \(taken); take one out")
        }
    }
}
