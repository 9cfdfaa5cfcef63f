public import BatonCore

/// Connections that begin while this host is being left.
extension FlowSteering {
    /// From now on a connection that begins to one of the addresses and ports, which are served here until then, is
    /// forwarded to the other host from its first packet on, as if it had moved. What has begun before is not touched.
    public func steerNewcomers(to addresses: [IPAddress], ports: [UInt16], via host: NextHop) throws(MigrationError) {
        var text = "flush chain netdev \(FlowSteering.table) \(FlowSteering.newcomers)\n"
        let list = Set(ports).sorted().map(String.init).joined(separator: ", ")
        for family in IPAddress.Family.allCases where !list.isEmpty {
            let served = addresses.filter { $0.family == family }
            guard !served.isEmpty else { continue }
            guard let hop = host.address(for: family) else {
                throw MigrationError(.steeringRules, "no \(family) address of the other host")
            }
            text += "add rule netdev \(FlowSteering.table) \(FlowSteering.newcomers) "
            text += "\(family.keyword) daddr { \(served.map(\.description).joined(separator: ", ")) } "
            text += "tcp dport { \(list) } tcp flags & (fin|syn|rst|ack) == syn "
            text += "update @\(FlowSet.begun.name(family)) { \(FlowSteering.key(family)) }\n"
            text += "add rule netdev \(FlowSteering.table) \(FlowSteering.newcomers) "
            text += FlowSteering.forwardingBegun(family, to: hop, by: interfaces[0])
        }
        try tables.run(text)
        steersNewcomers = true
    }

    /// Puts what has begun since `steerNewcomers` among `moved`. It reads the kernel's sets, which takes milliseconds.
    func learnNewcomers() throws(MigrationError) {
        let known = FlowSteering.movedFlows(tables)
        for (host, flows) in Dictionary(grouping: known.keys.filter { moved[$0] == nil }, by: { known[$0] }) {
            if let host { try steer(flows, to: NextHop(host)) }
        }
    }

    /// Connections begin here again. What has begun since `steerNewcomers` stays steered.
    public func keepNewcomers() throws(MigrationError) {
        // Those that begin from here on are not forwarded; those that were are known before their set goes.
        try FlowSteering.endNewcomers(interfaces, tables)
        try learnNewcomers()
        var text = "flush chain netdev \(FlowSteering.table) \(FlowSteering.newcomers)\n"
        for family in IPAddress.Family.allCases {
            text += "flush set netdev \(FlowSteering.table) \(FlowSet.begun.name(family))\n"
        }
        try tables.run(text)
        steersNewcomers = false
    }

    /// Whether connections that begin are forwarded, by this process or one before it.
    static func areNewcomersSteered() throws(MigrationError) -> Bool {
        let tables = try NFTables()
        return IPAddress.Family.allCases.contains { newcomersHost($0, tables) != nil }
    }

    /// Connections that begin are not forwarded any more, and those that have begun are, by their set.
    static func endNewcomers(_ interfaces: [String], _ tables: NFTables) throws(MigrationError) {
        var text = ""
        for family in IPAddress.Family.allCases {
            guard let host = newcomersHost(family, tables) else { continue }
            text += "add rule netdev \(table) \(newcomers) \(forwardingBegun(family, to: host, by: interfaces[0]))"
        }
        guard !text.isEmpty else { return }
        try tables.run("flush chain netdev \(table) \(newcomers)\n" + text)
    }

    private static func forwardingBegun(_ family: IPAddress.Family, to host: IPAddress, by interface: String) -> String
    {
        "\(key(family)) @\(FlowSet.begun.name(family)) fwd \(family.keyword) to \(host) device \"\(interface)\"\n"
    }

    /// Forwards these flows and no others. For the host that takes the service address: what the other host could not move
    /// goes on there, and whatever was steered here before has ended or come back.
    public func steerOnly(_ flows: [Flow], to host: NextHop) throws(MigrationError) {
        var text = ""
        for family in IPAddress.Family.allCases {
            text += "flush map netdev \(FlowSteering.table) \(FlowSet.moved.name(family))\n"
        }
        try tables.run(text)
        moved = [:]
        try steer(flows, to: host)
    }
}
