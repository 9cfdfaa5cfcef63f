public import CoreMetrics
public import NIOCore
internal import Synchronization

/// The live connections of a process, by event loop. Nothing on the path of data takes a lock: each loop has a list of its
/// own, and only counts are shared.
public final class ConnectionRegistry: Sendable {
    private let shards: [NIOLoopBound<Shard>]
    private let indices: [ObjectIdentifier: Int]
    package let tally: Tally

    /// A registry for the connections of `group`'s event loops.
    ///
    /// - Parameters:
    ///   - group: the bootstrap's.
    ///   - metrics: is told of them: `baton_connections` (a meter), `baton_moves_in`, `baton_moves_out` and `baton_moves_failed`
    ///     (counters, as the properties of these names), and two timers: `baton_handover_duration` at the old owner, how long a
    ///     connection of a `SuccessionService` took to be its receiver's, and `baton_move_pause` at the new one, how long a
    ///     connection stood still, from when it was taken out of its channel until it is active in the next, if that is on the
    ///     same machine. `nil`: nobody is told.
    public init(group: any EventLoopGroup, metrics: (any MetricsFactory)? = nil) {
        tally = Tally(metrics.map { ConnectionMetrics($0) })
        var shards: [NIOLoopBound<Shard>] = []
        var indices: [ObjectIdentifier: Int] = [:]
        for loop in group.makeIterator() {
            let tally = self.tally
            // Made here, used only on its loop.
            let shard = try? loop.submit { NIOLoopBound(Shard(loop, tally), eventLoop: loop) }.wait()
            guard let shard else { continue }
            indices[ObjectIdentifier(loop)] = shards.count
            shards.append(shard)
        }
        self.shards = shards
        self.indices = indices
    }

    /// How many connections there are, those in their handshake included.
    public var count: Int { tally.connections.load(ordering: .relaxed) }

    /// How often a connection has come from another process.
    public var movesIn: Int { tally.movesIn.load(ordering: .relaxed) }

    /// How often a connection has gone to another process.
    public var movesOut: Int { tally.movesOut.load(ordering: .relaxed) }

    /// How often a connection was offered and came back, or was closed in doubt.
    public var movesFailed: Int { tally.movesFailed.load(ordering: .relaxed) }

    /// Adds `handler`, which is in a channel of one of the group's loops, and is called on that loop. It is removed when
    /// its connection ends or moves.
    @discardableResult
    public func add(_ handler: ConnectionHandler, on eventLoop: any EventLoop) -> ConnectionID {
        guard let index = indices[ObjectIdentifier(eventLoop)] else {
            preconditionFailure("the registry was made for another event loop group")
        }
        return shards[index].value.add(handler)
    }

    /// All connections, in no order.
    public func list(on eventLoop: any EventLoop) -> EventLoopFuture<[ConnectionSummary]> {
        EventLoopFuture.whenAllSucceed(visit { $0.summaries() }, on: eventLoop).map { $0.flatMap { $0 } }
    }

    /// Takes up to `limit` connections out of their channels, to be offered to another process. Those in their handshake,
    /// those that cannot be moved and those that stay (`ConnectionHandler.staysHere`) are left alone. Those that are held are
    /// taken out as soon as they are let go, and are returned by the next call, or by `stopCollecting`.
    package func detach(limit: Int, on eventLoop: any EventLoop) -> EventLoopFuture<Detachment> {
        let share = max(1, limit / max(1, shards.count))
        return EventLoopFuture.whenAllSucceed(visit { $0.detach(limit: share) }, on: eventLoop).map {
            $0.reduce(into: Detachment()) { whole, part in
                whole.connections += part.connections
                whole.unready += part.unready
            }
        }
    }

    /// What was found at one moment of each event loop, so that a connection is in one of both.
    package struct Detachment: Sendable {
        package var connections: [DetachedConnection] = []
        /// How many cannot be moved yet, because they are in their handshake, held, or not in their channel yet.
        package var unready = 0
    }

    /// The connections that were let go since the last `detach`. No more are taken out by themselves.
    package func stopCollecting(on eventLoop: any EventLoop) -> EventLoopFuture<[DetachedConnection]> {
        EventLoopFuture.whenAllSucceed(visit { $0.stopCollecting() }, on: eventLoop).map { $0.flatMap { $0 } }
    }

    /// What `body` says of the socket of each connection; it is called on the connections' loops.
    package func collect<T: Sendable>(
        on eventLoop: any EventLoop, _ body: @escaping @Sendable (CInt) -> T?
    ) -> EventLoopFuture<[T]> {
        EventLoopFuture.whenAllSucceed(visit { $0.descriptors.compactMap(body) }, on: eventLoop).map {
            $0.flatMap { $0 }
        }
    }

    /// Connections that came back are offered again from here on.
    package func forgetRefusals(on eventLoop: any EventLoop) -> EventLoopFuture<Void> {
        EventLoopFuture.andAllComplete(visit { $0.forgetRefusals() }, on: eventLoop)
    }

    /// Waits until there is no connection any more.
    ///
    /// - Returns: whether that is so, and not the time over or the task cancelled.
    @discardableResult
    public func whenEmpty(within limit: Duration) async -> Bool {
        let clock = ContinuousClock()
        let end = clock.now + limit
        while count > 0 {
            guard clock.now < end, (try? await Task.sleep(for: .milliseconds(20))) != nil else { return false }
        }
        return true
    }

    private func visit<T: Sendable>(_ body: @escaping @Sendable (Shard) -> T) -> [EventLoopFuture<T>] {
        shards.map { shard in shard.eventLoop.submit { body(shard.value) } }
    }

    /// Counts read by any thread.
    package final class Tally: Sendable {
        let connections = Atomic<Int>(0)
        let movesIn = Atomic<Int>(0)
        let movesOut = Atomic<Int>(0)
        let movesFailed = Atomic<Int>(0)
        private let metrics: ConnectionMetrics?

        init(_ metrics: ConnectionMetrics?) { self.metrics = metrics }

        func countConnection() {
            connections.wrappingAdd(1, ordering: .relaxed)
            metrics?.connections.increment()
        }

        func countEnd() {
            connections.wrappingSubtract(1, ordering: .relaxed)
            metrics?.connections.decrement()
        }

        func countMoveIn() {
            movesIn.wrappingAdd(1, ordering: .relaxed)
            metrics?.movesIn.increment()
        }

        package func countMoveOut(after duration: Duration) {
            movesOut.wrappingAdd(1, ordering: .relaxed)
            metrics?.movesOut.increment()
            let (seconds, attoseconds) = duration.components
            metrics?.handover.recordNanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
        }

        /// - Parameter moment: nanoseconds by the same clock as `now`.
        func countPause(_ now: UInt64, since moment: UInt64) {
            guard now >= moment else { return }
            metrics?.pause.recordNanoseconds(Int64(clamping: now - moment))
        }

        package func countMoveFailed() {
            movesFailed.wrappingAdd(1, ordering: .relaxed)
            metrics?.movesFailed.increment()
        }
    }
}
