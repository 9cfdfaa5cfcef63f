internal import BatonConfiguration
internal import BatonCore
internal import Glibc
internal import NIOCore
internal import Synchronization

/// What is told at the admin address.
extension Front {
    /// What the admin address asks.
    var adminSource: AdminSource {
        AdminSource(
            health: { [self] in await onLoop(\.health) ?? (false, "ending") },
            report: { [self] in await onLoop(\.adminReport) ?? .ending },
            overview: { [self] in await overview(limit: $0, after: $1) },
            names: { [policy] in policy.value.adminNames })
    }

    private var health: (isHealthy: Bool, word: String) {
        switch life.phase {
        case .delaying: (false, "stopping")
        case .serving, .replacing:
            workers.contains(where: \.takesConnections) ? (true, "ok") : (false, "no worker is ready")
        case .starting, .ready, .retiring, .finishing, .leaving, .failed, .ended: (false, life.name)
        }
    }

    private var adminReport: AdminReport {
        AdminReport(
            version: BatonVersion.current, phase: life.name,
            uptime: Double(MonotonicTime.now - startedAt) / 1e9,
            handshaking: admission.present, counts: countsInAll,
            workers: workers.map { .init(number: $0.number, state: $0.stateName, report: $0.report) },
            droppedLogLines: droppedLogLines, gone: gone)
    }

    private func overview(limit: Int, after: ConnectionCursor?) async -> AdminOverview {
        let asked = try? await loop.flatSubmit { [self] in
            inquiries.ask(
                workers.filter { $0.state != .starting && $0.state != .gone }, limit: limit, after: after)
        }.get()
        let inquiry = asked ?? Inquiry(of: [])
        let view = await onLoop { FrontView($0) } ?? FrontView()
        let now = MonotonicTime.now
        let pauses = inquiry.listings.values.flatMap(\.pauses).sorted { $0.endedAt < $1.endedAt }
        return AdminOverview(
            phase: view.phase, status: view.status, handshaking: view.handshaking, handshakes: view.handshakes,
            handshakeFailures: view.handshakeFailures,
            pauses: pauses.suffix(RecentPauses.capacity).map { pause in
                [Double(now &- min(now, pause.endedAt)) / 1e6, Double(pause.duration) / 1e3]
            },
            connections: ConnectionsPage(
                of: inquiry, limit: limit, total: view.status.connections, pids: view.pids))
    }

    /// What `body` gives on the front's loop; `nil` once that has ended.
    private func onLoop<Value: Sendable>(_ body: @escaping @Sendable (Front) -> Value) async -> Value? {
        try? await loop.submit { body(self) }.get()
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
        phase = front.life.name
        status = front.status
        pids = Dictionary(front.workers.map { ($0.number, $0.pid) }) { first, _ in first }
        handshaking = front.admission.present
        let counts = front.countsInAll
        handshakes = counts.handshakes.values.reduce(0, +)
        handshakeFailures = counts.handshakeFailures.values.reduce(0, +)
    }
}
