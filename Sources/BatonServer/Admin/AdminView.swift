internal import BatonConfiguration
internal import BatonCore
internal import Libc
internal import NIOCore

/// What is told at the admin address. It is asked on any thread, and looks on `loop`.
final class AdminView: @unchecked Sendable {
    private let loop: any EventLoop
    private let figures: Figures
    private let inquiries: Inquiries
    private let life: Life
    private let recorder: Recorder
    private let policy: CurrentPolicy

    init(
        on loop: any EventLoop, _ figures: Figures, _ inquiries: Inquiries, _ life: Life, _ recorder: Recorder,
        _ policy: CurrentPolicy
    ) {
        self.recorder = recorder
        self.policy = policy
        self.loop = loop
        self.figures = figures
        self.inquiries = inquiries
        self.life = life
    }

    /// - Parameter names: those by which the address may be asked for.
    func source(names: @escaping @Sendable () -> Set<String>) -> AdminSource {
        AdminSource(
            health: { [self] in await onLoop { $0.health } ?? (false, "ending") },
            report: { [self] in await onLoop { $0.report } ?? .ending },
            overview: { [self] in await overview($0, known: $1) }, names: names)
    }

    private var health: (isHealthy: Bool, word: String) {
        switch life.phase {
        case .delaying: (false, "stopping")
        case .serving, .replacing:
            figures.workers.contains(where: \.takesConnections) ? (true, "ok") : (false, "no worker is ready")
        case .starting, .ready, .retiring, .finishing, .leaving, .failed, .ended: (false, life.name)
        }
    }

    private var report: AdminReport {
        AdminReport(
            version: BatonVersion.current, phase: life.name, uptime: figures.uptime,
            upgrades: recorder.history.upgrades,
            handshaking: figures.newcomers, counts: figures.counts,
            workers: figures.workers.map { .init(number: $0.number, state: $0.stateName, report: $0.report) },
            droppedLogLines: figures.droppedLogLines, droppedAccessLines: figures.droppedAccessLines,
            deaths: figures.deaths, connectionLimit: figures.connectionLimit, openDescriptors: DescriptorLimit.open,
            maxDescriptors: Int(clamping: DescriptorLimit.current),
            certificates: policy.value.certificates.compactMap { served in
                served.notAfter.map { (served.name, $0) }
            }, gone: figures.gone, upstreams: figures.upstreams)
    }

    private func overview(_ query: ConnectionQuery, known: Int) async -> AdminOverview {
        let asked = try? await loop.flatSubmit { [self] in
            inquiries.ask(
                figures.workers.filter { $0.state != .starting && $0.state != .gone }, query)
        }.get()
        let inquiry = asked ?? Inquiry(of: [])
        let moment = await onLoop { Moment($0.life.name, $0.figures, $0.recorder.history) } ?? Moment()
        let now = MonotonicTime.now
        let pauses = inquiry.listings.values.flatMap(\.pauses).sorted { $0.endedAt < $1.endedAt }
        return AdminOverview(
            phase: moment.phase, status: moment.status, handshaking: moment.handshaking,
            handshakes: moment.handshakes, handshakeFailures: moment.handshakeFailures,
            pauses: pauses.suffix(RecentPauses.capacity).map { pause in
                [Double(now &- min(now, pause.endedAt)) / 1e6, Double(pause.duration) / 1e3]
            },
            connections: ConnectionsPage(
                of: inquiry, query, total: moment.status.connections, pids: moment.pids),
            history: AdminOverview.History(moment.history, known: known))
    }

    /// What `body` gives on the loop; `nil` once that has ended.
    private func onLoop<Value: Sendable>(_ body: @escaping @Sendable (AdminView) -> Value) async -> Value? {
        try? await loop.submit { body(self) }.get()
    }
}

/// What the overview needs, taken on the loop.
private struct Moment: Sendable {
    var phase = "ending"
    var status = StatusReport(
        pid: getpid(), version: BatonVersion.current, uptime: 0, connections: 0, workers: [], moves: .init(),
        pause: .init(PauseHistogram()))
    var pids: [Int: Int32] = [:]
    var handshaking = 0
    var handshakes = 0
    var handshakeFailures = 0
    var history = History()

    init() {}

    init(_ phase: String, _ figures: Figures, _ history: History) {
        self.history = history
        self.phase = phase
        status = figures.status
        pids = Dictionary(figures.workers.map { ($0.number, $0.pid) }) { first, _ in first }
        handshaking = figures.newcomers
        let counts = figures.counts
        handshakes = counts.handshakes.values.reduce(0, +)
        handshakeFailures = counts.handshakeFailures.values.reduce(0, +)
    }
}
