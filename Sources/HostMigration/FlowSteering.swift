public import BatonCore

/// The packet filter rules that hold the packets of a flow while its connection moves, and forward them after.
///
/// They stand in the table `netdev baton`, at the ingress hook of the interfaces by which connections' packets arrive, before routing and before any other
/// rule of the host. Held packets go to the `HoldDevice`; a packet that comes back from there meets the forwarding
/// rules, and if none is for its flow, the host's own sockets. No routing table is touched.
///
/// An element of the held sets expires by itself after `holdSeconds`, so a process that is killed holds nothing longer.
///
/// It acts in the network namespace of the thread that makes it; one thread at a time may use it.
public final class FlowSteering {
    /// The name of the table, in the family netdev.
    public static let table = "baton"

    /// After how long the kernel itself lets go of a held flow. A migration must end well before.
    public static let holdSeconds = 20

    /// The interfaces by which the connections' packets arrive. The first is the link that this host shares with the other
    /// ones: moved flows are forwarded by it.
    public let interfaces: [String]

    /// The flows that are forwarded, and where to.
    public internal(set) var moved: [Flow: IPAddress]

    /// Whether connections that begin are forwarded: then a flow can be that is not among `moved`.
    public internal(set) var steersNewcomers = false

    let device: HoldDevice
    let tables: NFTables
    private var held: Set<Flow> = []

    /// Installs the rules. Flows that an earlier process has steered stay steered; nothing is held.
    ///
    /// - Throws: `.steeringRules`, `.deviceBusy`, `.notPermitted`.
    public init(interfaces: [String]) throws(MigrationError) {
        guard !interfaces.isEmpty, interfaces.allSatisfy(FlowSteering.isName), Set(interfaces).count == interfaces.count
        else { throw MigrationError(.steeringRules, "interface names") }
        self.interfaces = interfaces
        device = try HoldDevice()
        tables = try NFTables()
        // What begins between the reading and the new rules would be nobody's.
        try? FlowSteering.endNewcomers(interfaces, tables)
        moved = FlowSteering.movedFlows(tables)
        try tables.run(FlowSteering.rules(interfaces, moved: moved))
    }

    /// As `init(interfaces:)` with one.
    public convenience init(interface: String) throws(MigrationError) {
        try self.init(interfaces: [interface])
    }

    private static func isName(_ interface: String) -> Bool {
        (1...15).contains(interface.utf8.count)
            && interface.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != 0x2F }
    }

    /// Removes everything that any process has installed in this network namespace: held flows go back to this host's
    /// sockets, moved flows are no longer forwarded. Succeeds if there is nothing.
    public static func cleanUp() throws(MigrationError) {
        try NFTables().run("add table netdev \(table)\ndelete table netdev \(table)\n")
    }

    /// Diverts the flows' packets to the hold device from now on. A packet that is past the hook already may still
    /// reach its socket.
    package func hold(_ flows: [Flow]) throws(MigrationError) {
        var batch = SetElementBatch(table: FlowSteering.table)
        batch.add(flows.filter { !held.contains($0) }, to: .held)
        try tables.commit(batch)
        held.formUnion(flows)
    }

    /// Ends the diversion.
    package func release(_ flows: [Flow]) throws(MigrationError) {
        let flows = flows.filter { held.contains($0) }
        var batch = SetElementBatch(table: FlowSteering.table)
        // Adding first makes removing succeed for an element that has expired.
        batch.add(flows, to: .held)
        batch.remove(flows, from: .held)
        try tables.commit(batch)
        held.subtract(flows)
    }

    /// Forwards the flows' packets to the new owner's host, as soon as they are not held.
    public func steer(_ flows: [Flow], to host: NextHop) throws(MigrationError) {
        var batch = SetElementBatch(table: FlowSteering.table)
        batch.remove(flows.filter { moved[$0] != nil }, from: .moved)
        for family in IPAddress.Family.allCases {
            let part = flows.filter { $0.family == family }
            guard !part.isEmpty else { continue }
            guard let address = host.address(for: family) else {
                throw MigrationError(.steeringRules, "no \(family) address of the other host")
            }
            batch.add(part, to: .moved, value: address)
        }
        try tables.commit(batch)
        for flow in flows { moved[flow] = host.address(for: flow.family) }
    }

    /// Whether packets of the flow may be forwarded.
    func isForwarded(_ flow: Flow) -> Bool { steersNewcomers || moved[flow] != nil }

    /// Ends the forwarding of flows that have come back, or ended.
    public func forget(_ flows: [Flow]) throws(MigrationError) {
        let flows = flows.filter(isForwarded)
        var batch = SetElementBatch(table: FlowSteering.table)
        batch.remove(flows.filter { moved[$0] != nil }, from: .moved)
        // Adding first makes removing succeed for one that is not there.
        batch.add(flows, to: .begun)
        batch.remove(flows, from: .begun)
        try tables.commit(batch)
        for flow in flows { moved[flow] = nil }
    }
}
