internal import BatonConfiguration
internal import BatonCore
internal import Glibc
internal import Logging
internal import NIOCore
internal import Synchronization

extension Front {
    /// How long the workers may take to tell what they have; what has not come is left out.
    private static let listingLimit = TimeAmount.seconds(2)

    /// The listening socket's name, which no listener can have.
    static let adminName = "/admin"

    var adminSockets: [ListeningSocket] { sockets.filter { $0.name == Self.adminName } }

    /// Serves the admin address, if there is one.
    func serveAdmin() {
        guard !adminSockets.isEmpty, admin == nil else { return }
        let responder = AdminResponder(front: self)
        admin = AdminServer(on: loop, log: log) { request, writer, channel in
            try await responder.respond(to: request, writer, channel)
        }
    }

    /// Serves the admin address no more; its socket stays open.
    func pauseAdmin() {
        admin?.close()
        admin = nil
    }

    // MARK: What is told

    /// Whether connections are accepted and there is somebody to take them, and what the server is doing.
    func health() async -> (isHealthy: Bool, word: String) {
        await onLoop { front in
            switch front.phase {
            case .serving where front.isStopping, .replacing where front.isStopping: (false, "stopping")
            case .serving, .replacing:
                front.workers.contains(where: \.takesConnections) ? (true, "ok") : (false, "no worker is ready")
            case .starting, .retiring, .finishing: (false, front.phase.name)
            }
        } ?? (false, "ending")
    }

    func report() async -> AdminReport {
        let report = await onLoop { front in
            AdminReport(
                version: BatonVersion.current, phase: front.phase.name,
                uptime: Double(MonotonicTime.now - front.startedAt) / 1e9,
                handshaking: front.connections.load(ordering: .relaxed), counts: front.countsInAll,
                workers: front.workers.map {
                    .init(number: $0.number, state: $0.stateName, report: $0.report)
                }, droppedLogLines: front.droppedLogLines,
                gone: front.gone)
        }
        return report
            ?? AdminReport(
                version: BatonVersion.current, phase: "ending", uptime: 0, handshaking: 0, counts: FrontCounts(),
                workers: [], gone: WorkerReport())
    }

    /// The state, with the connections behind `after`.
    func overview(limit: Int, after: ConnectionCursor?) async -> AdminOverview {
        let (promise, asked) = await withCheckedContinuation { continuation in
            loop.execute { [self] in
                continuation.resume(returning: ask(limit: limit, after: after))
            }
        }
        let listings = (try? await promise.get()) ?? [:]
        return assemble(
            listings, limit: limit, isComplete: listings.count == asked, await onLoop { FrontView($0) } ?? FrontView())
    }

    /// Asks every worker.
    private func ask(limit: Int, after: ConnectionCursor?) -> (EventLoopFuture<[Int: Listing]>, asked: Int) {
        lastInquiry += 1
        let asked = workers.filter { $0.state != .starting && $0.state != .gone }
        let inquiry = Inquiry(waiting: Set(asked.map(\.number)), promise: loop.makePromise())
        let id = lastInquiry
        inquiries[id] = inquiry
        for worker in asked {
            let start = after.map { $0.worker == worker.number ? $0.connection : 0 } ?? 0
            let isBefore = after.map { worker.number < $0.worker } ?? false
            worker.link?.send(.list(ListingRequest(id: id, after: start, limit: isBefore ? 0 : limit)))
        }
        loop.scheduleTask(in: Self.listingLimit) { self.settle(id) }
        if asked.isEmpty { settle(id) }
        return (inquiry.promise.futureResult, asked.count)
    }

    /// A worker has answered, or is gone.
    func listed(_ listing: Listing?, by worker: WorkerHandle) {
        for (id, inquiry) in inquiries {
            if let listing {
                guard listing.id == id else { continue }
                inquiry.listings[worker.number] = listing
            }
            inquiry.waiting.remove(worker.number)
            if inquiry.waiting.isEmpty { settle(id) }
        }
    }

    private func settle(_ id: UInt64) {
        guard let inquiry = inquiries.removeValue(forKey: id) else { return }
        inquiry.promise.succeed(inquiry.listings)
    }

    private func assemble(
        _ listings: [Int: Listing], limit: Int, isComplete: Bool, _ view: FrontView
    ) -> AdminOverview {
        var rows: [ConnectionRow] = []
        var next: ConnectionCursor?
        for (number, listing) in listings.sorted(by: { $0.key < $1.key }) where next == nil {
            for var row in listing.rows.prefix(limit - rows.count) {
                row.worker = number
                row.pid = view.pids[number]
                rows.append(row)
            }
            guard rows.count == limit else { continue }
            let hasMore =
                listing.hasMore || listing.rows.last?.id != rows.last?.id
                || listings.contains { $0.key > number && !($0.value.rows.isEmpty && !$0.value.hasMore) }
            if hasMore, let last = rows.last { next = ConnectionCursor(worker: number, connection: last.id) }
            break
        }
        let now = MonotonicTime.now
        let pauses = listings.values.flatMap(\.pauses).sorted { $0.endedAt < $1.endedAt }.suffix(RecentPauses.capacity)
        return AdminOverview(
            phase: view.phase, status: view.status, handshaking: view.handshaking, handshakes: view.handshakes,
            handshakeFailures: view.handshakeFailures,
            pauses: pauses.map { pause in
                [Double(now &- min(now, pause.endedAt)) / 1e6, Double(pause.duration) / 1e3]
            },
            connections: ConnectionsPage(
                total: view.status.connections, rows: rows, next: next, isComplete: isComplete))
    }

    /// What `body` gives on the front's loop; `nil` once that has ended.
    private func onLoop<Value: Sendable>(_ body: @escaping @Sendable (Front) -> Value) async -> Value? {
        try? await loop.submit { body(self) }.get()
    }
}

/// A question to the workers that is not answered by all of them yet.
final class Inquiry {
    var waiting: Set<Int>
    var listings: [Int: Listing] = [:]
    let promise: EventLoopPromise<[Int: Listing]>

    init(waiting: Set<Int>, promise: EventLoopPromise<[Int: Listing]>) {
        self.waiting = waiting
        self.promise = promise
    }
}

/// What the overview needs of the front, taken on its loop.
private struct FrontView: Sendable {
    var phase = "ending"
    var status = StatusReport(
        pid: getpid(), version: BatonVersion.current, uptime: 0, connections: 0, workers: [], moves: .init(),
        pause: .init(PauseHistogram()))
    var pids: [Int: Int32] = [:]
    var handshaking = 0
    var handshakes = 0
    var handshakeFailures = 0

    init() {}

    init(_ front: Front) {
        phase = front.phase.name
        status = front.status
        pids = Dictionary(front.workers.map { ($0.number, $0.pid) }) { first, _ in first }
        handshaking = front.connections.load(ordering: .relaxed)
        let counts = front.countsInAll
        handshakes = counts.handshakes.values.reduce(0, +)
        handshakeFailures = counts.handshakeFailures.values.reduce(0, +)
    }
}
