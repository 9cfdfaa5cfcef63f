internal import BatonConfiguration
internal import BatonCore
internal import Synchronization

/// Who may come in, and how many are here. Workers tell their counts a moment after they change; the limits are as exact as
/// that. Used on any thread.
final class Admission: Sendable {
    /// All connections by their sources: those here, those on their way to a worker, and the workers' by their reports.
    private let limits: Mutex<ConnectionLimits>
    private let rates: Mutex<Rates>
    private let count = Atomic<Int>(0)
    private let emptied = Mutex(Listener())

    /// A closure that a generic type holds by itself is wrapped anew, and one level deeper, with every access in place. A field
    /// of a structure is not.
    private struct Listener {
        var action: @Sendable () -> Void = {}
    }

    private struct Rates {
        var sources: SourceRates
        var handshakes: RateLimit
    }

    init(_ limits: Limits) {
        self.limits = Mutex(ConnectionLimits(total: limits.connections, perSource: limits.connectionsPerSource))
        rates = Mutex(
            Rates(
                sources: SourceRates(perSecond: limits.connectionRatePerSource),
                handshakes: RateLimit(perSecond: limits.handshakeRate)))
    }

    func setLimits(_ limits: Limits) {
        self.limits.withLock {
            $0.total = limits.connections
            $0.perSource = limits.connectionsPerSource
        }
        rates.withLock {
            $0.sources.perSecond = limits.connectionRatePerSource
            $0.handshakes.perSecond = limits.handshakeRate
        }
    }

    /// The most connections in all.
    var connectionLimit: Int { limits.withLock { $0.total } }

    /// Has `action` called, on the thread that it happens on, whenever the last connection has left this process.
    func whenEmpty(_ action: @escaping @Sendable () -> Void) { emptied.withLock { $0.action = action } }

    // MARK: Rates

    /// Whether a connection of this source may come now, which counts it.
    func mayCome(from source: IPAddress) -> Bool {
        rates.withLock { $0.sources.admit(from: source, at: MonotonicTime.now) }
    }

    /// When a handshake may begin, in nanoseconds from now, which counts it; `nil`: not within `longest`.
    func handshakeWait(within longest: UInt64) -> UInt64? {
        rates.withLock { $0.handshakes.reserve(at: MonotonicTime.now, within: longest) }
    }

    // MARK: Connections of this process

    /// Connections in this process, those on their way to a worker included.
    var present: Int { count.load(ordering: .relaxed) }

    /// Lets a connection in, unless there are as many as may be.
    ///
    /// - Parameter source: `nil`: a Unix socket, or a load balancer that has not told yet.
    func admit(from source: IPAddress?) throws(ConnectionLimits.Refusal) {
        try limits.withLock { limits throws(ConnectionLimits.Refusal) in try limits.admit(from: source) }
        count.wrappingAdd(1, ordering: .relaxed)
    }

    /// A connection that was let in without a source has this one.
    func attribute(to source: IPAddress) throws(ConnectionLimits.Refusal) {
        try limits.withLock { limits throws(ConnectionLimits.Refusal) in try limits.attribute(to: source) }
    }

    /// A connection has closed here.
    func dismiss(from source: IPAddress?) {
        release(from: source)
        dismiss()
    }

    /// So many connections, whose sources are not counted here any more, have ended or found their owner.
    func dismiss(_ number: Int = 1) {
        let rest = count.wrappingSubtract(number, ordering: .relaxed).newValue
        if rest == 0 { emptied.withLock { $0.action }() }
    }

    // MARK: Sources

    /// There are more of this source, wherever they are.
    func adopt(from source: IPAddress?, count: Int = 1) { limits.withLock { $0.adopt(from: source, count: count) } }

    /// There are fewer.
    func release(from source: IPAddress?, count: Int = 1) { limits.withLock { $0.release(from: source, count: count) } }

    func release(from sources: [IPAddress?]) {
        limits.withLock { for source in sources { $0.release(from: source) } }
    }
}
