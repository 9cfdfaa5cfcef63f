internal import BatonConfiguration
internal import BatonCore
internal import BatonNIO
internal import Handoff
internal import HostMigration
internal import Libc
internal import Logging
internal import Synchronization
internal import TLSRecords

/// The link from a host that is being drained: takes batches until it says good-bye or is gone. Blocking, for a thread of
/// its own.
final class PeerArrivals {
    private let link: PeerLink
    private let network: NetworkClient
    private let log: Logger
    private let place: (consuming Parcel) -> Void
    private let settlement: PlacementCount
    private let underWay: UnderWay
    private let counted: (_ arrived: Int, _ failed: Int) -> Void
    private var hop = NextHop()

    init(
        _ link: PeerLink, _ network: NetworkClient, settlement: PlacementCount, underWay: UnderWay, log: Logger,
        place: @escaping (consuming Parcel) -> Void, counted: @escaping (_ arrived: Int, _ failed: Int) -> Void
    ) {
        self.link = link
        self.network = network
        self.settlement = settlement
        self.underWay = underWay
        self.log = log
        self.place = place
        self.counted = counted
    }

    /// Exchanges greetings; what a host that takes nothing says is all the other one hears.
    func greet(hop own: NextHop, takesConnections: Bool) throws {
        let frame = try link.receive()
        guard frame.kind == .hello, let hello = frame.withBytes({ LinkHello($0) }) else { throw LinkError.violation }
        let answer = LinkHello(hop: own, takesConnections: takesConnections)
        try link.queue(.hello, answer.encoded)
        try link.flush()
        guard answer.common(with: hello) != nil, takesConnections else {
            throw LinkError("a peer was told that nothing is taken from it now")
        }
        hop = hello.hop
    }

    /// Serves the peer to the end of the link.
    func serve() throws {
        while true {
            // A drain can be slow at the other host, which finds connections one batch after another; the kernel notices a
            // host that is gone (TCP keep-alive).
            let frame = try link.receive(within: .seconds(3600))
            guard underWay.begin() else { throw LinkError("this server has been replaced by an upgrade") }
            defer { underWay.end() }
            switch frame.kind {
            case .batch:
                guard let count = frame.withBytes({ $0.count == 1 ? Int($0[0]) : nil }),
                    (1...LinkProtocol.maxParcels).contains(count)
                else { throw LinkError.violation }
                try receiveBatch(count)
            case .takeAddresses: try takeAddresses(frame)
            case .prepare:
                // If it cannot be, the batches are declined with the reason.
                try? network.prepare()
                try link.queue(.taken)
                try link.flush()
            case .newcomers:
                try network.keepNewcomers()
                try link.queue(.taken)
                try link.flush()
            case .bye: return
            // A batch of which every parcel was too large ends without having begun.
            case .batchEnd:
                try link.queue(.adopted, Self.adopted(lost: 0, lag: 0))
                try link.flush()
            default: throw LinkError.violation
            }
        }
    }

    // MARK: A batch

    /// A parcel whose sockets are awaited.
    private final class Coming {
        let flows: [Flow]
        private var parcel: Parcel?
        private var sockets: [Flow: CInt] = [:]

        init(_ flows: [Flow], _ parcel: consuming Parcel) {
            self.flows = flows
            self.parcel = consume parcel
        }

        /// The parcel, if this was the last of its sockets.
        func add(_ socket: CInt, _ flow: Flow) -> Parcel? {
            if let old = sockets.updateValue(socket, forKey: flow) { SocketReset.close(old) }
            guard sockets.count == flows.count, var parcel = self.parcel.take() else { return nil }
            for flow in flows {
                if let socket = sockets.removeValue(forKey: flow) { parcel.sockets.append(owning: socket) }
            }
            return parcel
        }

        /// Whether some of it came and not all.
        func abandon() -> Bool {
            parcel = nil
            defer { sockets = [:] }
            for socket in sockets.values { SocketReset.close(socket) }
            return !sockets.isEmpty
        }
    }

    private func receiveBatch(_ count: Int) throws {
        var coming: [Flow: Coming] = [:]
        var all: [Coming] = []
        for _ in 0..<count {
            let frame = try link.receive(within: LinkProtocol.patience * 3)
            guard frame.kind == .parcel else { throw LinkError.violation }
            guard frame.count > 0 else { continue }
            guard let entry = frame.withBytes(Self.read) else { throw LinkError.violation }
            for flow in entry.flows where coming.updateValue(entry, forKey: flow) != nil { throw LinkError.violation }
            all.append(entry)
        }
        defer { for entry in all { _ = entry.abandon() } }
        guard !all.isEmpty else { return }
        let (near, far) = try UnixSocket.pair(SocketKind.stream)
        let relay = BatchRelay(link, local: near)
        do {
            defer { close(far) }
            try network.beginArrival(over: far)
        }
        var placed = 0
        settlement.begin()
        arrivals: while true {
            guard relay.step(watching: network.descriptor) else { continue }
            switch try network.nextArrival() {
            case .connection(let flow, let socket):
                guard let entry = coming[flow] else {
                    SocketReset.close(socket)
                    continue
                }
                if var parcel = entry.add(socket, flow) {
                    placed += 1
                    parcel.metadata.moves &+= 1
                    place(parcel)
                }
            case .end(let error):
                if let error { log.notice("a batch did not arrive", metadata: ["reason": "\(error)"]) }
                break arrivals
            }
        }
        var torn = 0
        for entry in all where entry.abandon() { torn += 1 }
        let (lost, settledAt) = settlement.wait(for: placed)
        counted(placed - lost, lost + torn)
        // What the privileged process said last may not have left yet. Then the other host's is told that no more comes,
        // for it may wait for an answer, and the other host ends the batch.
        while relay.failure == nil, !relay.isLocalEnded { _ = relay.step(watching: -1) }
        try link.queue(.batchEnd)
        while relay.failure == nil, !relay.hasPeerEnded { _ = relay.step(watching: -1) }
        if let failure = relay.failure { throw failure }
        let now = MonotonicTime.now
        let lag = settledAt > 0 && now > settledAt ? now - settledAt : 0
        try link.queue(.adopted, Self.adopted(lost: lost, lag: lag))
        try link.flush()
    }

    private static func adopted(lost: Int, lag: UInt64) -> [UInt8] {
        var body: [UInt8] = []
        body.append(bigEndian: UInt16(clamping: lost))
        body.append(bigEndian: lag)
        return body
    }

    private static func read(_ bytes: UnsafeRawBufferPointer) -> Coming? {
        var reader = WireReader(bytes)
        guard let count = reader.uint8(), (1...2).contains(count) else { return nil }
        var flows: [Flow] = []
        for _ in 0..<count {
            guard let flow = reader.flow() else { return nil }
            flows.append(flow)
        }
        guard Set(flows).count == flows.count, let rest = reader.bytes(reader.remaining),
            let parcel = try? Parcel.decode(rest), parcel.secondSnapshot == nil || count == 2
        else { return nil }
        return Coming(flows, parcel)
    }

    // MARK: Addresses

    private func takeAddresses(_ frame: PeerLink.Frame) throws {
        let request = frame.withBytes { bytes -> ([IPAddress], [Flow])? in
            var reader = WireReader(bytes)
            return reader.addressesAndFlows()
        }
        guard let (addresses, flows) = request else { throw LinkError.violation }
        var refusal: MigrationError?
        do throws(MigrationError) {
            try network.takeAddresses(addresses, forwarding: flows, to: hop)
            log.notice("this host answers for the service addresses", metadata: ["addresses": "\(addresses)"])
        } catch {
            refusal = error
        }
        if let refusal {
            try link.queue(.failed, Array("\(refusal)".utf8.prefix(500)))
        } else {
            try link.queue(.taken)
        }
        try link.flush()
    }
}
