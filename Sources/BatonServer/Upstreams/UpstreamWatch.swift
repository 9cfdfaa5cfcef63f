internal import BatonConfiguration
internal import BatonCore
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import TLSHandshake

/// What the front knows of the addresses of upstreams, and tells the workers, who choose among them: where names lead, what checks
/// have found, and what each worker has seen. Used on the front's loop only.
final class UpstreamWatch: @unchecked Sendable {
    /// Workers are told not more often than this.
    private static let tellDelay = WorkerTimes.reportDelay
    /// A worker that knows nothing yet is told something after this, also if names are still being asked for.
    private static let patience = Duration.seconds(5)

    private struct Checked {
        var endpoint: UpstreamEndpoint
        var state = CheckState()
        var last: String?
        var failures = 0
        /// When it has come back.
        var upSince: UInt64?
        var next: Scheduled<Void>?
        var underWay: CheckConnection?
    }

    private let loop: any EventLoop
    private let logger: SharedLogger
    private let workers: () -> [WorkerHandle]
    private var configuration = Configuration()
    private var names = ResolvedNames()
    private var resolver: NameResolver?
    private var nextQuestion: Scheduled<Void>?
    private var checks: [UpstreamPlace: Checked] = [:]
    /// How the TLS of checks begins, by upstream.
    private var contexts: [String: ClientContext?] = [:]
    /// What each worker was told last, by its number.
    private var told: [Int: UpstreamOrders] = [:]
    /// Workers that have told of an address that they leave out.
    private var ejecting: Set<Int> = []
    private var isTelling = false
    private var deadline = Deadline.never
    private var hasEnded = false

    init(on loop: any EventLoop, _ logger: SharedLogger, workers: @escaping () -> [WorkerHandle]) {
        self.loop = loop
        self.logger = logger
        self.workers = workers
    }

    private var log: Logger { logger.current }

    /// Has this configuration hold.
    func use(_ configuration: Configuration) {
        guard !hasEnded else { return }
        // Another server may know other things.
        if configuration.resolver != self.configuration.resolver { names = ResolvedNames() }
        self.configuration = configuration
        contexts = [:]
        deadline = .after(Self.patience)
        wantNames()
        if !names.areSettled { loop.scheduleTask(in: Self.patience.timeAmount) { [self] in tellSoon() } }
        arrangeChecks()
        tellSoon()
    }

    /// Asks and checks no more.
    func end() {
        hasEnded = true
        nextQuestion?.cancel()
        for place in Array(checks.keys) { drop(place) }
        resolver?.stop()
    }

    // MARK: Names

    private func wantNames() {
        names.want(configuration.nameQuestions(names.known))
        ask()
    }

    private func ask() {
        guard !hasEnded else { return }
        nextQuestion?.cancel()
        let now = MonotonicTime.now
        let due = names.takeDue(at: now)
        if !due.isEmpty, resolver == nil { resolver = NameResolver() }
        for question in due {
            resolver?.ask(question, of: configuration.resolver, on: loop) { [self] in answered(question, $0) }
        }
        guard let next = names.nextDue else { return }
        let wait = TimeAmount.nanoseconds(Int64(clamping: next > now ? next - now : 0))
        nextQuestion = loop.scheduleTask(in: wait) { [self] in ask() }
    }

    private func answered(_ question: NameQuestion, _ answer: ResolvedNames.Answer) {
        guard !hasEnded else { return }
        switch names.answered(question, answer, at: MonotonicTime.now) {
        case .resolved(let places):
            log.info(
                "a name has been resolved",
                metadata: ["name": "\(question)", "to": "\(places.joined(separator: " "))"])
            arrangeChecks()
        case .failed(let why):
            log.warning(
                "a name cannot be resolved; its last answer holds",
                metadata: ["name": "\(question)", "reason": "\(why)"])
        case nil: break
        }
        // Records may have led to other hosts.
        wantNames()
        tellSoon()
    }

    // MARK: Checks

    private func arrangeChecks() {
        var wanted: [UpstreamPlace: UpstreamEndpoint] = [:]
        for (name, upstream) in configuration.upstreams where upstream.check.kind != .none {
            for endpoint in upstream.endpoints(names.known) {
                wanted[UpstreamPlace(upstream: name, address: endpoint.name)] = endpoint
            }
        }
        for place in checks.keys where wanted[place] == nil { drop(place) }
        for (place, endpoint) in wanted {
            if checks[place] != nil {
                checks[place]?.endpoint = endpoint
            } else {
                checks[place] = Checked(endpoint: endpoint)
                check(place)
            }
        }
    }

    private func drop(_ place: UpstreamPlace) {
        guard let checked = checks.removeValue(forKey: place) else { return }
        checked.next?.cancel()
        checked.underWay?.cancel()
    }

    private func check(_ place: UpstreamPlace) {
        guard let upstream = configuration.upstreams[place.upstream], let checked = checks[place] else { return }
        guard let context = contexts[place.upstream] else { return makeContext(place, upstream) }
        let connection = CheckConnection(checked.endpoint, of: upstream, on: loop) { [weak self] reason in
            self?.ended(place, reason)
        }
        checks[place]?.underWay = connection
        connection.start(context)
    }

    /// Reads the files of a check's TLS, off the loop.
    private func makeContext(_ place: UpstreamPlace, _ upstream: Upstream) {
        NIOThreadPool.singleton.runIfActive(eventLoop: loop) { try CheckConnection.context(for: upstream) }
            .whenComplete { [self] result in
                // Another configuration may hold by now.
                guard configuration.upstreams[place.upstream] == upstream else { return check(place) }
                switch result {
                case .success(let context):
                    contexts[place.upstream] = .some(context)
                    check(place)
                case .failure(let error): ended(place, AddressFault.reason(error))
                }
            }
    }

    private func ended(_ place: UpstreamPlace, _ reason: String?) {
        guard !hasEnded, var checked = checks[place], let upstream = configuration.upstreams[place.upstream] else {
            return
        }
        let settings = upstream.check
        checked.underWay = nil
        checked.last = reason ?? "ok"
        if reason != nil { checked.failures += 1 }
        let hasChanged = checked.state.ended(isGood: reason == nil, rise: settings.rise, fall: settings.fall)
        if hasChanged, reason == nil { checked.upSince = MonotonicTime.now }
        checked.next = loop.scheduleTask(in: (settings.interval * Double.random(in: 0.9...1.1)).timeAmount) { [self] in
            check(place)
        }
        checks[place] = checked
        guard hasChanged else { return }
        if let reason {
            log.warning(
                "an upstream's address is down", metadata: names(place).merging(["reason": "\(reason)"]) { $1 })
        } else {
            log.notice("an upstream's address is up again", metadata: names(place))
        }
        tellSoon()
    }

    private func names(_ place: UpstreamPlace) -> Logger.Metadata {
        ["upstream": "\(place.upstream)", "address": "\(place.address)"]
    }

    // MARK: Workers

    /// A worker has told of its addresses. Most of that is for nobody else.
    func heard(from worker: WorkerHandle) {
        guard let news = worker.report.upstreams, !configuration.upstreams.isEmpty else { return }
        let isEjecting = news.addresses.values.contains { $0.values.contains { $0.ejectedUntil != nil } }
        let hasEjected = ejecting.contains(worker.number)
        if isEjecting { ejecting.insert(worker.number) } else { ejecting.remove(worker.number) }
        if isEjecting || hasEjected || told[worker.number] == nil
            || configuration.upstreams.values.contains(where: { $0.balance == .leastConnections })
        {
            tellSoon()
        }
    }

    /// A worker has ended, and its connections with it, or they are told of by others.
    func ended(_ worker: WorkerHandle) {
        ejecting.remove(worker.number)
        told[worker.number] = nil
        if !configuration.upstreams.isEmpty { tellSoon() }
    }

    private func tellSoon() {
        guard !isTelling, !hasEnded else { return }
        isTelling = true
        loop.scheduleTask(in: Self.tellDelay.timeAmount) { [self] in
            isTelling = false
            tell()
        }
    }

    private func tell() {
        let all = workers()
        for worker in all {
            // One that knows nothing yet waits for what is asked: it would take nothing for an answer.
            guard let link = worker.link, worker.report.upstreams != nil,
                told[worker.number] != nil || names.areSettled || deadline.hasPassed
            else { continue }
            let orders = orders(for: worker, among: all)
            guard told[worker.number] != orders else { continue }
            told[worker.number] = orders
            link.send(.upstreams(orders))
        }
    }

    private func orders(for worker: WorkerHandle, among all: [WorkerHandle]) -> UpstreamOrders {
        var orders = UpstreamOrders()
        orders.names = names.known
        for (place, checked) in checks {
            var state = UpstreamOrders.Address()
            if checked.state.isUp == false { state.isDown = true }
            state.upSince = checked.upSince
            if !state.isEmpty { orders.addresses[place.upstream, default: [:]][place.address] = state }
        }
        let now = MonotonicTime.now
        for other in all where other !== worker {
            for (upstream, addresses) in other.report.upstreams?.addresses ?? [:] {
                let counts = configuration.upstreams[upstream]?.balance == .leastConnections
                for (address, seen) in addresses {
                    var state = orders.addresses[upstream]?[address] ?? .init()
                    if let until = seen.ejectedUntil, until > now {
                        state.ejectedUntil = max(state.ejectedUntil ?? 0, until)
                    }
                    if counts, seen.connections > 0 { state.others = (state.others ?? 0) + seen.connections }
                    if !state.isEmpty { orders.addresses[upstream, default: [:]][address] = state }
                }
            }
        }
        return orders
    }

    // MARK: What is told of them

    /// - Parameter gone: what workers that are gone have counted.
    func rows(_ gone: UpstreamNews) -> [StatusReport.UpstreamAddress] {
        let now = MonotonicTime.now
        let reports = workers().compactMap(\.report.upstreams)
        var total = gone
        for report in reports { total.add(report) }
        var rows: [StatusReport.UpstreamAddress] = []
        for (name, upstream) in configuration.upstreams.sorted(by: { $0.key < $1.key }) {
            let endpoints = upstream.endpoints(names.known)
            let present = Set(endpoints.map(\.name))
            rows += endpoints.map { row($0, name, upstream, reports, total, now) }
            for entry in upstream.addresses {
                guard case .service(let service) = entry.place, names.known.services[service] == nil else { continue }
                rows.append(
                    .init(
                        upstream: name, address: "\(entry.place)", state: .unresolved, weight: entry.weight,
                        connections: 0, opened: 0, failed: 0))
            }
            let others = Set(reports.flatMap { ($0.addresses[name] ?? [:]).filter { $0.value.connections > 0 }.keys })
            rows += others.subtracting(present).sorted().map { address in
                leaving(address, name, reports, total)
            }
        }
        return rows
    }

    private func row(
        _ endpoint: UpstreamEndpoint, _ name: String, _ upstream: Upstream, _ reports: [UpstreamNews],
        _ total: UpstreamNews, _ now: UInt64
    ) -> StatusReport.UpstreamAddress {
        var row = leaving(endpoint.name, name, reports, total)
        row.weight = endpoint.weight
        let checked = checks[UpstreamPlace(upstream: name, address: endpoint.name)]
        row.lastCheck = checked?.last
        row.checkFailures = checked?.failures
        let ejecting = reports.compactMap { $0.addresses[name]?[endpoint.name] }
            .filter { ($0.ejectedUntil ?? 0) > now }
        var isUnresolved = false
        if case .tcp(.name, _) = endpoint.address { isUnresolved = true }
        if case .name(let text)? = endpoint.host { row.name = text }
        if endpoint.weight == 0 {
            row.state = .draining
        } else if checked?.state.isUp == false {
            row.state = .down
            row.reason = checked?.last == "ok" ? "its checks are good again, and fewer than rise" : checked?.last
        } else if let one = ejecting.first {
            row.state = .ejected
            row.reason = one.reason
        } else if isUnresolved {
            row.state = .unresolved
        } else if SlowStart.factor(since: checked?.upSince, at: now, over: upstream.slowStart) < 1 {
            row.state = .starting
        } else {
            row.state = .up
        }
        return row
    }

    /// What is counted of an address; by itself one that is in no upstream any more.
    private func leaving(
        _ address: String, _ name: String, _ reports: [UpstreamNews], _ total: UpstreamNews
    ) -> StatusReport.UpstreamAddress {
        let counted = total.addresses[name]?[address] ?? .init()
        return .init(
            upstream: name, address: address, state: .draining, weight: 0,
            connections: reports.reduce(0) { $0 + ($1.addresses[name]?[address]?.connections ?? 0) },
            opened: counted.opened, failed: counted.failed)
    }
}
