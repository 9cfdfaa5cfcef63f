internal import BatonConfiguration
internal import BatonCore
internal import Logging
internal import NIOCore

/// The addresses of upstreams, as a worker sees them: which one a new connection tries first, and which have failed. What it
/// sees itself counts at once, what the front and other workers know as soon as it is told. Used on the worker's event loop
/// only.
final class WorkerUpstreams {
    private struct Seen {
        /// Connections that are being opened, or are open and in no relay yet.
        var opening = 0
        var opened = 0
        var failed = 0
        var reason: String?
        var ejection = EjectionState()
    }

    /// Beyond this those that are in no upstream any more are forgotten, with what was counted of them.
    private static let maxSeen = 1_024

    private var seen: [UpstreamPlace: Seen] = [:]
    private var balancers: [String: Balancer] = [:]
    private var orders = UpstreamOrders()
    /// Whether the front has told what it knows.
    private(set) var isTold = false
    private var waiting: [ObjectIdentifier: () -> Void] = [:]
    /// The connections that relays have.
    private let relayed: () -> [UpstreamPlace: Int]
    /// Something is to be reported.
    private let changed: () -> Void
    private let log: () -> Logger

    init(
        relayed: @escaping () -> [UpstreamPlace: Int], changed: @escaping () -> Void, log: @escaping () -> Logger
    ) {
        self.relayed = relayed
        self.changed = changed
        self.log = log
    }

    // MARK: What the front says

    func take(_ orders: UpstreamOrders) {
        self.orders = orders
        isTold = true
        let all = waiting.values
        waiting = [:]
        for done in all { done() }
    }

    /// Calls `done` when the front has told something.
    func awaitOrders(_ asker: AnyObject, _ done: @escaping () -> Void) { waiting[ObjectIdentifier(asker)] = done }

    func stopAwaiting(_ asker: AnyObject) { waiting[ObjectIdentifier(asker)] = nil }

    // MARK: Choosing

    /// The addresses that a new connection tries, in this order.
    ///
    /// - Parameter key: what it has in common with others that are to go to the same.
    func order(of name: String, _ upstream: Upstream, key: UInt64?) -> [UpstreamEndpoint] {
        let endpoints = upstream.endpoints(orders.names).filter { $0.weight > 0 }
        guard endpoints.count > 1 else { return endpoints }
        let now = MonotonicTime.now
        let states = orders.addresses[name] ?? [:]
        let counts = upstream.balance == .leastConnections ? relayed() : [:]
        let candidates = endpoints.enumerated().map { index, endpoint in
            let place = UpstreamPlace(upstream: name, address: endpoint.name)
            let (own, told) = (seen[place], states[endpoint.name])
            let ejectedUntil = max(own?.ejection.until ?? 0, told?.ejectedUntil ?? 0)
            let backSince = max(told?.upSince ?? 0, ejectedUntil)
            return Balancer.Candidate(
                name: endpoint.key,
                weight: Double(endpoint.weight)
                    * SlowStart.factor(since: backSince > 0 ? backSince : nil, at: now, over: upstream.slowStart),
                rank: endpoint.rank,
                // Where SRV records lead to there is no order within a priority.
                position: endpoint.isOfService ? -endpoint.position - 1 : index,
                isUp: told?.isDown != true && now >= ejectedUntil,
                connections: (own?.opening ?? 0) + (counts[place] ?? 0) + (told?.others ?? 0))
        }
        return balancers[name, default: Balancer(seed: .random(in: 0...UInt64.max))]
            .order(candidates, by: upstream.balance, key: key).map { endpoints[$0] }
    }

    // MARK: What becomes of connections

    /// One is being opened. It counts until the lease is released, or a relay has it.
    func begin(_ place: UpstreamPlace) -> UpstreamLease {
        seen[place, default: Seen()].opening += 1
        return UpstreamLease(place) { [unowned self] in
            seen[place]?.opening -= 1
            changed()
        }
    }

    func opened(_ place: UpstreamPlace) {
        seen[place, default: Seen()].opened += 1
        if seen[place]?.ejection.succeeded() == true {
            log().notice("an upstream's address is used again", metadata: names(place))
        }
        changed()
    }

    /// It could not be, by a fault of the address.
    func failed(_ place: UpstreamPlace, _ upstream: Upstream, _ reason: String) {
        seen[place, default: Seen()].failed += 1
        seen[place]?.reason = reason
        changed()
        // One that is alone is tried in any case.
        let isAlone = upstream.endpoints(orders.names).count { $0.weight > 0 } < 2
        let isEjected = seen[place]?.ejection.failed(
            at: MonotonicTime.now, limit: isAlone ? nil : upstream.ejectAfter, time: upstream.ejectTime)
        guard isEjected == true else { return }
        log().warning(
            "an upstream's address is left out for a while",
            metadata: names(place).merging(["reason": "\(reason)"]) { $1 })
    }

    private func names(_ place: UpstreamPlace) -> Logger.Metadata {
        ["upstream": "\(place.upstream)", "address": "\(place.address)"]
    }

    // MARK: What the front is told

    /// - Parameter configuration: addresses of upstreams that are not in it any more are forgotten with their last connection.
    func news(_ configuration: Configuration) -> UpstreamNews {
        forget(allBut: configuration)
        var news = UpstreamNews()
        let now = MonotonicTime.now
        for (place, own) in seen {
            news.addresses[place.upstream, default: [:]][place.address] = .init(
                connections: own.opening, opened: own.opened, failed: own.failed,
                ejectedUntil: own.ejection.isEjected(at: now) ? own.ejection.until : nil, reason: own.reason)
        }
        for (place, count) in relayed() where count > 0 {
            news.addresses[place.upstream, default: [:]][place.address, default: .init()].connections += count
        }
        return news
    }

    /// DNS may lead to other addresses for ever.
    private func forget(allBut configuration: Configuration) {
        guard seen.count > Self.maxSeen else { return }
        let present = Set(
            configuration.upstreams.flatMap { name, upstream in
                upstream.endpoints(orders.names).map { UpstreamPlace(upstream: name, address: $0.name) }
            })
        seen = seen.filter { $0.value.opening > 0 || present.contains($0.key) }
    }
}

/// A connection to an address that no relay counts. Used on the worker's event loop only.
final class UpstreamLease {
    let place: UpstreamPlace
    private var end: (() -> Void)?

    init(_ place: UpstreamPlace, _ end: @escaping () -> Void) {
        self.place = place
        self.end = end
    }

    /// It is over, or another counts it. What comes after the first time does nothing.
    func release() {
        let end = self.end
        self.end = nil
        end?()
    }
}
