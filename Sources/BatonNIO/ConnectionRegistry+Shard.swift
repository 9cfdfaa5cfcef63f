internal import BatonCore
internal import NIOCore
internal import Synchronization

extension ConnectionRegistry {
    /// The connections of one event loop; used on it only.
    final class Shard {
        /// How often idle connections give memory back.
        private static let sweepInterval = TimeAmount.seconds(5)

        let eventLoop: any EventLoop
        private let tally: Tally
        private var handlers: [ConnectionID: ConnectionHandler] = [:]
        private var sweep: RepeatedTask?
        /// Whether connections that were held are taken out as soon as they are let go.
        private var isCollecting = false
        private var collected: [DetachedConnection] = []

        init(_ eventLoop: any EventLoop, _ tally: Tally) {
            self.eventLoop = eventLoop
            self.tally = tally
        }

        func add(_ handler: ConnectionHandler) -> ConnectionID {
            let id = ConnectionID.next()
            handlers[id] = handler
            handler.register(self, id)
            tally.countConnection()
            startSweeping()
            return id
        }

        func remove(_ id: ConnectionID) {
            guard handlers.removeValue(forKey: id) != nil else { return }
            tally.countEnd()
            if handlers.isEmpty {
                sweep?.cancel()
                sweep = nil
            }
        }

        /// A connection that came from another owner is active here.
        func notePause(since moment: UInt64) { tally.countPause(MonotonicTime.now, since: moment) }

        /// The sockets.
        var descriptors: [CInt] {
            handlers.values.compactMap { handler in
                handler.context.flatMap { try? handler.descriptor($0) }
            }
        }

        func forgetRefusals() {
            for handler in handlers.values { handler.wasRefused = false }
        }

        func summaries() -> [ConnectionSummary] {
            handlers.map { id, handler in
                ConnectionSummary(
                    id: id, info: handler.info, metadata: handler.metadata,
                    peer: handler.context?.channel.remoteAddress, isHandshaking: handler.layer.phase == .handshaking,
                    isBusy: handler.isBusy, pendingByteCount: handler.pendingByteCount)
            }
        }

        func detach(limit: Int) -> Detachment {
            isCollecting = true
            var taken = collected
            collected = []
            for handler in Array(handlers.values) {
                guard taken.count < limit else { break }
                guard handler.isOffered, handler.layer.phase == .plain || handler.layer.phase == .established else {
                    continue
                }
                guard !handler.isUnready else {
                    handler.askForRelease()
                    continue
                }
                do {
                    taken.append(DetachedConnection(try handler.detach()))
                } catch {
                    // Unless it can be moved later, it goes on or ends here.
                    handler.staysHere = !handler.isUnready
                }
            }
            return Detachment(connections: taken, unready: handlers.values.count { $0.isOffered && $0.isUnready })
        }

        /// A connection that is always in use is let go for moments only.
        func becameIdle(_ handler: ConnectionHandler) {
            guard isCollecting, handler.isOffered, let parcel = try? handler.detach() else { return }
            collected.append(DetachedConnection(parcel))
        }

        /// Ends what `detach` has begun.
        func stopCollecting() -> [DetachedConnection] {
            isCollecting = false
            defer { collected = [] }
            return collected
        }

        private func startSweeping() {
            guard sweep == nil else { return }
            let shard = NIOLoopBound(self, eventLoop: eventLoop)
            sweep = eventLoop.scheduleRepeatedTask(initialDelay: Self.sweepInterval, delay: Self.sweepInterval) { _ in
                shard.value.releaseIdleMemory()
            }
        }

        private func releaseIdleMemory() {
            for handler in handlers.values { handler.sweep() }
        }
    }
}
