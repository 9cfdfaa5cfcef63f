/// The sets of Baton's table, each in two forms, for IPv4 and for IPv6.
enum FlowSet: String {
    case held
    case moved

    func name(_ family: IPAddress.Family) -> String { rawValue + "\(family.rawValue)" }
}

extension SetElementBatch {
    mutating func add(_ flows: [Flow], to set: FlowSet, value: IPAddress? = nil) {
        for (name, keys) in SetElementBatch.keys(flows, set) { add(keys, value: value?.bytes, to: name) }
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
    static func rules(_ interface: String, moved: [Flow: IPAddress]) -> String {
        var text = "add table netdev \(table)\ndelete table netdev \(table)\ntable netdev \(table) {\n"
        for family in IPAddress.Family.allCases {
            let type = "ipv\(family.rawValue)_addr"
            let key = "\(type) . inet_service . \(type) . inet_service"
            let elements = moved.filter { $0.key.family == family }.map { "\($0.key.element) : \($0.value)" }
            text += "set \(FlowSet.held.name(family)) { type \(key); flags timeout; timeout \(holdSeconds)s; }\n"
            text += "map \(FlowSet.moved.name(family)) { type \(key) : \(type);"
            text += elements.isEmpty ? " }\n" : " elements = { \(elements.joined(separator: ", ")) }; }\n"
        }
        let forwarding = IPAddress.Family.allCases.map { family in
            "fwd \(family.keyword) to \(key(family)) map @\(FlowSet.moved.name(family)) device \"\(interface)\"\n"
        }.joined()
        let holding = IPAddress.Family.allCases.map { family in
            "\(key(family)) @\(FlowSet.held.name(family)) fwd to \"\(HoldDevice.name)\"\n"
        }.joined()
        text += chain("arrivals", interface) + holding + forwarding + "}\n"
        text += chain("releases", HoldDevice.name) + forwarding + "}\n"
        return text + "}\n"
    }

    /// The flows that an earlier process has steered; none if there is no table.
    static func movedFlows(_ tables: NFTables) -> [Flow: IPAddress] {
        var moved: [Flow: IPAddress] = [:]
        for family in IPAddress.Family.allCases {
            let listing = (try? tables.run("list map netdev \(table) \(FlowSet.moved.name(family))")) ?? ""
            guard let start = listing.firstRange(of: "elements = {") else { continue }
            for element in listing[start.upperBound...].prefix(while: { $0 != "}" }).split(separator: ",") {
                let parts = element.split(whereSeparator: \.isWhitespace)
                guard parts.count == 9, let flow = Flow(parts.prefix(7).map(String.init)),
                    let address = IPAddress(String(parts[8]))
                else { continue }
                moved[flow] = address
            }
        }
        return moved
    }

    private static func chain(_ name: String, _ device: String) -> String {
        "chain \(name) { type filter hook ingress device \"\(device)\" priority -100;\n"
    }

    private static func key(_ family: IPAddress.Family) -> String {
        "\(family.keyword) saddr . tcp sport . \(family.keyword) daddr . tcp dport"
    }
}

extension IPAddress.Family {
    fileprivate var keyword: String { self == .ipv4 ? "ip" : "ip6" }
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
            local: Endpoint(address: local, port: localPort), remote: Endpoint(address: remote, port: remotePort))
    }
}
