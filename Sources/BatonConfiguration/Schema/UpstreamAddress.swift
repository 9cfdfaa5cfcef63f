/// One place at which an upstream is reached, and its share of the connections.
package struct UpstreamAddress: Hashable, Sendable {
    /// How it is found.
    package enum Place: Hashable, Sendable {
        /// It is there; a name may stand for several addresses.
        case address(Address)
        /// DNS SRV records of this name say where (RFC 2782).
        case service(String)
    }

    /// How it is found.
    package var place: Place
    /// Its share of the connections beside the other addresses'; 0: it gets no new ones. 0 to 256.
    package var weight = 1

    /// Creates an address.
    package init(_ place: Place, weight: Int = 1) {
        self.place = place
        self.weight = weight
    }
}

extension UpstreamAddress: CustomStringConvertible {
    /// What it may look like, for messages and documents.
    static let forms =
        "HOST:PORT, [IPV6]:PORT, unix:/PATH or srv:NAME, with ' weight=0' to ' weight=256' behind it if not 1"
    private static let maxWeight = 256
    private static let service = "srv:"

    /// Reads an address with its weight; `nil` if it is none that can be connected to.
    package init?(_ text: String) {
        let parts = text.split(separator: " ")
        guard let first = parts.first.map(String.init), parts.count <= 2 else { return nil }
        if first.hasPrefix(Self.service) {
            guard let name = HostName(first.dropFirst(Self.service.count)) else { return nil }
            place = .service(name.text)
        } else {
            guard let address = try? Address(first), address.canBeConnectedTo else { return nil }
            place = .address(address)
        }
        guard parts.count == 2 else { return }
        let word = parts[1]
        guard word.hasPrefix("weight="), word.dropFirst(7).utf8.allSatisfy(\.isDigit),
            let weight = Int(word.dropFirst(7)), 0...Self.maxWeight ~= weight
        else { return nil }
        self.weight = weight
    }

    /// The form that `init(_:)` reads.
    package var description: String { weight == 1 ? "\(place)" : "\(place) weight=\(weight)" }
}

extension UpstreamAddress.Place: CustomStringConvertible {
    /// Without a weight.
    package var description: String {
        switch self {
        case .address(let address): "\(address)"
        case .service(let name): "srv:\(name)"
        }
    }
}

/// By what the address of a new connection is chosen.
package enum BalancePolicy: String, Hashable, Sendable, CaseIterable {
    /// In the order in which they are written: one comes when those before it cannot be had.
    case first
    /// In turn, each as often as its weight says.
    case roundRobin = "round-robin"
    /// The one with the fewest connections for its weight.
    case leastConnections = "least-connections"
    /// Always the same for the same key.
    case hash
}

/// How it is looked whether an address can be used, while nobody connects.
package struct UpstreamCheck: Hashable, Sendable {
    /// What is done.
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        case none, tcp, tls, http
    }

    /// What is done.
    package var kind = Kind.none
    /// Between checks.
    package var interval: Duration = .seconds(2)
    /// How long one may take.
    package var timeLimit: Duration = .seconds(2)
    /// What HTTP asks for.
    package var path = "/"
    /// The Host field; nil: the address.
    package var host: String?
    /// So many good ones in a row bring an address back.
    package var rise = 2
    /// So many bad ones in a row take it out.
    package var fall = 3

    /// Creates the defaults.
    package init() {}
}

extension SettingFormat where Value == UpstreamAddress {
    static var upstreamAddress: SettingFormat {
        .word(UpstreamAddress.forms, read: { UpstreamAddress($0) }, write: { "\($0)" })
    }
}
