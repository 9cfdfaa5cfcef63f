internal import BatonConfiguration
internal import BatonCore
internal import BatonNIO
internal import CLinuxSockets
internal import Dispatch
internal import Handoff
internal import HostMigration
internal import Libc
internal import Logging
internal import NIOCore
internal import Synchronization

/// The process between the workers of this host and other hosts. It lets connections leave or takes some, never both at a
/// time, and one batch after the other: all of it happens on the `work` queue or, for a peer's, on that peer's thread.
final class MigrationProcess: @unchecked Sendable {
    /// Who has the privileged process.
    private enum Activity {
        case none
        case departing
        case arriving
    }

    /// The front's orders and the batches of a drain, in their order.
    let work = DispatchQueue(label: "baton.migration")
    let network: NetworkClient
    let ended: EventLoopPromise<Void>
    /// Set by the first order, before anything else begins.
    private(set) var configuration = Configuration()
    private(set) var log = Logger(label: "baton.migration")
    private(set) var handshake: PeerHandshake?
    private let link = Mutex<JSONLink<MigrationEvent>?>(nil)
    private let activity = Mutex(Activity.none)
    private let counts = Mutex(MigrationCounts())
    private let settlement = PlacementCount()
    private let underWay = UnderWay()
    /// Used on `placing` only.
    private var placer: Placer?
    private let placing = DispatchQueue(label: "baton.placer")
    /// The parcel sockets of this host's workers.
    private let workers = Mutex<[String]>([])
    private var inbox: ParcelReceiver?
    /// Used on `work` only, and on the inbox's thread while a worker offers, which the front asks of one at a time.
    private let departure = Mutex<DepartureBox?>(nil)

    /// A drain under way.
    final class DepartureBox: @unchecked Sendable {
        let departure: Departure
        let isDryRun: Bool

        init(_ departure: Departure, isDryRun: Bool) {
            self.departure = departure
            self.isDryRun = isDryRun
        }
    }

    init(network descriptor: CInt, loop: any EventLoop) {
        network = NetworkClient(owning: descriptor)
        ended = loop.makePromise()
    }

    func use(_ link: JSONLink<MigrationEvent>) { self.link.withLock { $0 = link } }

    private func tell(_ event: MigrationEvent) { link.withLock { $0 }?.send(event) }

    // MARK: The front

    func receive(_ order: MigrationOrder) {
        work.async { [self] in perform(order) }
    }

    /// Without a front nobody finds other owners: what is under way is the last.
    func frontEnded() {
        work.async { [self] in
            endDeparture()
            underWay.finish()
            ended.succeed()
        }
    }

    private func perform(_ order: MigrationOrder) {
        switch order {
        case .configure(let setup): start(setup)
        case .workers(let paths): use(paths)
        case .begin(let peer, let isDryRun): begin(peer, isDryRun: isDryRun)
        case .sweep: departure.withLock { $0 }?.departure.beginSweep()
        case .steerNewcomers(let ports):
            attempt {
                try $0.steerNewcomers(ports)
            } then: {
                .steered($1)
            }
        case .moveAddresses:
            attempt {
                try $0.moveAddresses().map { "\($0)" }
            } then: {
                .addressesMoved($0 ?? [], $1)
            }
        case .end:
            let tally = endDeparture()
            tell(.ended(tally))
        }
    }

    private func attempt<R>(_ body: (Departure) throws -> R, then event: (R?, String?) -> MigrationEvent) {
        guard let box = departure.withLock({ $0 }) else { return tell(event(nil, "the drain has ended")) }
        do {
            tell(event(try body(box.departure), nil))
        } catch {
            tell(event(nil, "\(error)"))
        }
    }

    private func start(_ setup: MigrationSetup) {
        do {
            configuration = try Configuration(file: setup.file, arguments: setup.flags)
            log.logLevel = configuration.logLevel.swiftLog
            handshake = try PeerHandshake(configuration)
            let placer = makePlacer()
            placing.sync { self.placer = placer }
            let inbox = try ParcelReceiver(at: setup.socket) { [self] parcel in
                verdict(on: parcel)
            } received: { [self] boxes in
                work.async { self.move(boxes) }
            } report: {
                $0.log(to: Logger(label: "baton.inbox"))
            }
            try inbox.start()
            self.inbox = inbox
            if let address = configuration.migration.listen, let handshake {
                try PeerListener(at: address, handshake, peers: configuration.peers.values, log: log) { [self] in
                    serve($0, of: $1)
                }.start()
            }
            tell(.ready)
        } catch {
            tell(.failed("\(error)"))
        }
    }

    /// Where this host is reached by what other ones forward.
    private var hop: NextHop {
        InterfaceAddress.hop(
            on: configuration.migration.interfaces.first ?? "",
            except: configuration.migration.addresses.map(\.unmapped))
    }

    private func take(_ wanted: Activity) -> Bool {
        activity.withLock { activity in
            guard case .none = activity else { return false }
            activity = wanted
            return true
        }
    }

    // MARK: Going

    private func begin(_ peer: String, isDryRun: Bool) {
        guard let handshake, take(.departing) else {
            return tell(.refused("connections are coming from another host; try again when they have"))
        }
        do {
            let link = try handshake.connect(to: peer)
            let departure = try Departure(link, network, hop: hop) { [self] parcel in place(parcel) }
            if !isDryRun { try departure.prepare() }
            self.departure.withLock { $0 = DepartureBox(departure, isDryRun: isDryRun) }
            tell(.begun)
        } catch {
            activity.withLock { $0 = .none }
            tell(.refused("\(error)"))
        }
    }

    private func verdict(on parcel: borrowing Parcel) -> Verdict {
        guard let box = departure.withLock({ $0 }) else { return .decline(.leaving) }
        guard !parcel.sockets.isEmpty, parcel.sockets.count <= 2 else { return .decline(.unsupportedParcel) }
        guard box.isDryRun else { return .accept }
        box.departure.examine(parcel)
        return .decline(.leaving)
    }

    private func move(_ boxes: [DetachedConnection]) {
        guard let box = departure.withLock({ $0 }) else {
            // The drain ended between the verdict and the commit.
            for box in boxes { if let parcel = box.take() { place(parcel) } }
            return
        }
        let before = box.departure.tally
        box.departure.move(boxes)
        let tally = box.departure.tally
        tell(.tally(tally))
        counts.withLock { counts in
            counts.departed += tally.moved - before.moved
            counts.failed += tally.inDoubt + tally.lost - before.inDoubt - before.lost
            tell(.counts(counts))
        }
    }

    // MARK: Workers

    private func use(_ paths: [String]) {
        workers.withLock { $0 = paths }
        placing.async { self.placer?.forget(allBut: paths) }
    }

    /// Gives the connection to the next worker of this host.
    private func place(_ parcel: consuming Parcel) {
        parcel.metadata.stampDetached()
        // Its way to this host is counted as one move, with this last step.
        parcel.metadata.noteFirstWorker()
        underWay.add()
        let box = ParcelBox(parcel)
        placing.async { [self] in
            if let parcel = box.take() { placer?.place(parcel) }
        }
    }

    /// A target that names another program is no reason to give a connection there: what programs were given never comes
    /// here, and another host has no say in who is connected to.
    private func makePlacer() -> Placer {
        let settled = { @Sendable [settlement, underWay] (placed: Int, lost: Int) in
            settlement.add(placed: placed, lost: lost)
            underWay.end(placed + lost)
        }
        return Placer(
            .migrants,
            .init(
                choose: { [unowned self] _ in .inTurn(workers.withLock { $0 }) },
                delivered: { delivery in
                    if delivery.handedOver + delivery.lost > 0 { settled(delivery.handedOver, delivery.lost) }
                },
                abandoned: { [log] _, _, reason in
                    log.error("a connection is closed, because no worker takes it", metadata: ["reason": "\(reason)"])
                    settled(0, 1)
                },
                run: { [placing] delay, task in
                    let task = DispatchWorkItem(block: task)
                    if let delay {
                        placing.asyncAfter(
                            deadline: .now() + .nanoseconds(Int(clamping: delay.nanoseconds)), execute: task)
                    } else {
                        placing.async(execute: task)
                    }
                }))
    }

    @discardableResult
    private func endDeparture() -> DrainTally {
        guard let box = departure.withLock({ $0.take() }) else { return DrainTally() }
        box.departure.end()
        activity.withLock { $0 = .none }
        return box.departure.tally
    }

    // MARK: Coming

    private func serve(_ link: PeerLink, of peer: String) {
        do {
            let isTaken = take(.arriving)
            defer { if isTaken { activity.withLock { $0 = .none } } }
            let arrivals = PeerArrivals(
                link, network, settlement: settlement, underWay: underWay, log: log
            ) { [self] parcel in
                place(parcel)
            } counted: { [self] arrived, failed in
                counts.withLock { counts in
                    counts.arrived += arrived
                    counts.failed += failed
                    tell(.counts(counts))
                }
            }
            try arrivals.greet(hop: hop, takesConnections: isTaken)
            log.notice("connections come from another host", metadata: ["peer": "\(peer)"])
            try arrivals.serve()
        } catch {
            log.warning("the link of another host has ended", metadata: ["reason": "\(error)"])
        }
    }
}
