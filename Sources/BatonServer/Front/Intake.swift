internal import BatonConfiguration
internal import BatonCore
internal import BatonNIO
internal import HostMigration
internal import Libc
internal import Logging
internal import NIOCore

/// What a new connection meets in the front: its limits, what is spoken before TLS, its handshake. Used on any thread.
struct Intake: Sendable {
    let group: any EventLoopGroup
    let policy: CurrentPolicy
    let admission: Admission
    let tally: SharedTally
    let logger: SharedLogger
    let refusalLog = RefusalLog()
    let faultLog = FaultLog()
    /// Gives a connection to whom its target names; without one its first request is to decide. Its source is released by
    /// whoever gets it.
    let place: @Sendable (DetachedConnection, Target?, _ source: IPAddress?) -> Void

    var log: Logger { logger.current }

    /// Takes the descriptor of a connection that was accepted. Its limits are decided before anything is made for it.
    func take(_ descriptor: CInt, from peer: sockaddr_storage, at name: String) {
        let policy = policy.value
        guard let listener = policy.listeners[name] else {
            Libc.close(descriptor)
            return
        }
        let source = Endpoint(peer)
        // A load balancer's own address is not the client's.
        let origin = listener.proxyProtocol == .off ? source?.address : nil
        func refuse(_ reason: RefusalReason, _ why: String, resetting: Bool = false) {
            if resetting { SocketReset.close(descriptor) } else { Libc.close(descriptor) }
            tally.withLock { $0.refused(reason) }
            AccessLog.process.writeSome(reason.rawValue, Self.record(.refused, why, name, source))
            refusalLog.say(
                reason, why, log, ["listener": "\(name)", "peer": "\(source.map { "\($0)" } ?? "")"])
        }
        if let address = source?.address, !listener.mayBeLoadBalancer(address) {
            return refuse(.network, "it is not in proxy-protocol-from")
        }
        if let origin, !admission.mayCome(from: origin) {
            // With nothing to remember of it, as a connection has that was closed in order.
            return refuse(.connectionRatePerSource, "limits.connection-rate-per-source is reached", resetting: true)
        }
        guard admission.present < policy.limits.handshakes else {
            return refuse(.handshakes, "limits.handshakes is reached")
        }
        do throws(ConnectionLimits.Refusal) {
            try admission.admit(from: origin)
        } catch .total {
            return refuse(.connections, "limits.connections is reached")
        } catch {
            return refuse(.connectionsPerSource, "limits.connections-per-source is reached")
        }
        tally.withLock { $0.accepted(name) }
        var bootstrap = ConnectionBootstrap(group: group) { channel, _ in
            try channel.syncOptions?.setOption(.autoRead, value: false)
            try channel.pipeline.syncOperations.addHandler(
                FrontHandler(self, listener: name, policy, source: source, admittedFrom: origin))
        }
        bootstrap.options.handshakeTimeout = policy.limits.handshakeTime.timeAmount
        bootstrap.options.closeTimeout = .seconds(5)
        bootstrap.options.allowsHalfClosure = true
        bootstrap.socketOptions = listener.liveness.socketOptions
        // The handler begins TLS itself, after whatever is spoken before it, with the context that holds then.
        bootstrap.accept(descriptor, .plain, name: name, on: group.next()).whenFailure { error in
            admission.dismiss(from: origin)
            AccessLog.process.writeSome("not_served", Self.record(.notServed, "\(error)", name, source))
            log.warning(
                "a connection cannot be served",
                metadata: [
                    "listener": "\(name)", "peer": "\(source.map { "\($0)" } ?? "")", "reason": "\(error)",
                ])
        }
    }

    /// Of a connection for which nothing has been made.
    private static func record(
        _ end: AccessRecord.End, _ detail: String, _ listener: String, _ source: Endpoint?
    ) -> AccessRecord {
        var record = AccessRecord()
        record.listener = listener
        record.peer = source.map { "\($0)" }
        (record.end, record.detail) = (end, detail)
        return record
    }
}
