import BatonCore

/// The sets of Baton's table, each in two forms, for IPv4 and for IPv6.
enum FlowSet: String {
    case held
    case moved
    /// Connections that began while new ones went to another host.
    case begun

    func name(_ family: IPAddress.Family) -> String { rawValue + "\(family.rawValue)" }
}

extension SetElementBatch {
    mutating func add(_ flows: [Flow], to set: FlowSet, value: IPAddress? = nil) {
        for (name, keys) in SetElementBatch.keys(flows, set) { add(keys, value: value?.octets, to: name) }
    }

    mutating func remove(_ flows: [Flow], from set: FlowSet) {
        for (name, keys) in SetElementBatch.keys(flows, set) { remove(keys, from: name) }
    }

    private static func keys(_ flows: [Flow], _ set: FlowSet) -> [(String, [[UInt8]])] {
        IPAddress.Family.allCases.map { family in
            (set.name(family), flows.filter { $0.family == family }.map(\.setKey))
        }
    }
}

extension FlowSteering {
    /// One transaction that replaces whatever stands in the table.
    static func rules(_ interfaces: [String], moved: [Flow: IPAddress]) -> String {
        var text = "add table netdev \(table)\ndelete table netdev \(table)\ntable netdev \(table) {\n"
        for family in IPAddress.Family.allCases {
            let type = "ipv\(family.rawValue)_addr"
            let key = "\(type) . inet_service . \(type) . inet_service"
            let elements = moved.filter { $0.key.family == family }.map { "\($0.key.element) : \($0.value)" }
            text += "set \(FlowSet.held.name(family)) { type \(key); flags timeout; timeout \(holdSeconds)s; }\n"
            text += "set \(FlowSet.begun.name(family)) { type \(key); flags dynamic; size \(maxBegun); }\n"
            text += "map \(FlowSet.moved.name(family)) { type \(key) : \(type);"
            text += elements.isEmpty ? " }\n" : " elements = { \(elements.joined(separator: ", ")) }; }\n"
        }
        let forwarding = IPAddress.Family.allCases.map { family in
            "fwd \(family.keyword) to \(key(family)) map @\(FlowSet.moved.name(family)) device \"\(interfaces[0])\"\n"
        }.joined()
        let holding = IPAddress.Family.allCases.map { family in
            "\(key(family)) @\(FlowSet.held.name(family)) fwd to \"\(HoldDevice.name)\"\n"
        }.joined()
        text += "chain \(newcomers) { }\n"
        text += chain("arrivals", interfaces) + holding + hasGoneRound + "jump \(newcomers)\n" + forwarding + "}\n"
        text += chain("releases", [HoldDevice.name]) + hasGoneRound + forwarding + "}\n"
        return text + "}\n"
    }

    /// The flows that an earlier process has steered; none if there is no table.
    static func movedFlows(_ tables: NFTables) -> [Flow: IPAddress] {
        var moved: [Flow: IPAddress] = [:]
        for family in IPAddress.Family.allCases {
            for parts in elements(of: "map", .moved, family, tables) where parts.count == 9 {
                guard let flow = Flow(Array(parts.prefix(7))), let address = IPAddress(parts[8]) else { continue }
                moved[flow] = address
            }
            guard let host = newcomersHost(family, tables) else { continue }
            for parts in elements(of: "set", .begun, family, tables) {
                if let flow = Flow(Array(parts.prefix(7))) { moved[flow] = host }
            }
        }
        return moved
    }

    /// The elements of a set or map as nft lists them, split at white space.
    private static func elements(
        of kind: String, _ set: FlowSet, _ family: IPAddress.Family, _ tables: NFTables
    ) -> [[String]] {
        let listing = (try? tables.run("list \(kind) netdev \(table) \(set.name(family))")) ?? ""
        guard let start = listing.firstRange(of: "elements = {") else { return [] }
        return listing[start.upperBound...].prefix { $0 != "}" }.split(separator: ",").map { element in
            element.split(whereSeparator: \.isWhitespace).map(String.init)
        }
    }

    /// Where connections that begin are forwarded to, if they are.
    static func newcomersHost(_ family: IPAddress.Family, _ tables: NFTables) -> IPAddress? {
        let listing = (try? tables.run("list chain netdev \(table) \(newcomers)")) ?? ""
        guard let start = listing.firstRange(of: "fwd \(family.keyword) to ") else { return nil }
        return IPAddress(String(listing[start.upperBound...].prefix { !$0.isWhitespace }))
    }

    /// The chain of the rules for connections that begin.
    static let newcomers = "newcomers"

    /// Forwarding counts as a hop. A packet with next to none left has gone round between two hosts that take each other
    /// for the owner: the connection was committed, and the other host, which had it before and forwards it back, has
    /// never heard so. Delivered here it is answered by a reset, as it is without the earlier move.
    private static let hasGoneRound = "ip ttl < \(fewestHops) accept\nip6 hoplimit < \(fewestHops) accept\n"

    /// The packet filter drops what it is to forward with one hop left.
    private static let fewestHops = 4

    private static let maxBegun = 1 << 20

    private static func chain(_ name: String, _ devices: [String]) -> String {
        let list = devices.map { "\"\($0)\"" }.joined(separator: ", ")
        return "chain \(name) { type filter hook ingress devices = { \(list) } priority -100;\n"
    }

    static func key(_ family: IPAddress.Family) -> String {
        "\(family.keyword) saddr . tcp sport . \(family.keyword) daddr . tcp dport"
    }
}

extension IPAddress.Family {
    var keyword: String { self == .ipv4 ? "ip" : "ip6" }
}

extension Flow {
    /// The flow as nft writes an element.
    fileprivate var element: String {
        "\(remote.address) . \(remote.port) . \(local.address) . \(local.port)"
    }

    /// Reads `element`, split at white space.
    fileprivate init?(_ words: [String]) {
        guard words.count == 7, let remote = IPAddress(words[0]), let remotePort = UInt16(words[2]),
            let local = IPAddress(words[4]), let localPort = UInt16(words[6])
        else { return nil }
        self.init(
            local: Endpoint(local, port: localPort), remote: Endpoint(remote, port: remotePort))
    }
}
