internal import BatonConfiguration
internal import BatonCore
internal import BatonNIO
internal import Handoff
internal import Logging
internal import NIOCore
internal import Synchronization
internal import TLSHandshake
internal import TLSRecords

/// A new connection in the front: what is spoken before TLS, and the handshake. Then it goes to its worker with every byte
/// already read; if its first request is to decide where it goes, that is read there.
final class FrontHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum Stage {
        /// A load balancer's PROXY protocol header comes first.
        case proxyHeader
        /// SMTP and the like, up to STARTTLS.
        case preface(PlainPreface)
        /// Who speaks first is the TLS client.
        case detection(RoleDetector)
        case handshake
        /// On its way to a worker, or closed.
        case done
    }

    /// How the front counts the connection.
    private enum Counted {
        case no
        case from(IPAddress?)
    }

    private let intake: Intake
    private let listener: String
    private let policy: FrontPolicy
    private var stage = Stage.done
    private var received: [UInt8] = []
    private let origin: IPAddress?
    private var source: Endpoint?
    private var destination: Endpoint?
    private var uniqueID: [UInt8]?
    private var timer: Scheduled<Void>?
    private var detectionTimer: Scheduled<Void>?
    private var counted = Counted.no
    private var context: ChannelHandlerContext?
    /// Why it ends here.
    private var ending: (end: AccessRecord.End, detail: String?, kind: String)?
    /// It goes on elsewhere.
    private var isHandedOver = false
    /// What is known of certificates, where somebody is to go by it.
    private var facts: HandshakeFacts?

    /// - Parameters:
    ///   - source: where the connection comes from; nil: a Unix socket.
    ///   - origin: the source by which it has been admitted.
    init(_ intake: Intake, listener: String, _ policy: FrontPolicy, source: Endpoint?, admittedFrom origin: IPAddress?)
    {
        self.intake = intake
        self.listener = listener
        self.policy = policy
        self.source = source
        self.origin = origin
    }

    private var configuration: Listener { policy.listeners[listener] ?? Listener() }

    // MARK: The way of a connection

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelActive(context: ChannelHandlerContext) {
        counted = .from(origin)
        destination = context.channel.localAddress.flatMap(Endpoint.init)
        limit(policy.limits.handshakeTime, context)
        if configuration.proxyProtocol != .off {
            stage = .proxyHeader
            context.read()
        } else {
            beginPreface(context)
        }
        context.fireChannelActive()
    }

    private func beginPreface(_ context: ChannelHandlerContext) {
        guard let kind = configuration.startTLS else { return beginTLS(context) }
        let preface = PlainPreface(kind, hostName: "localhost")
        if !preface.greeting.isEmpty {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: preface.greeting)), promise: nil)
        }
        stage = .preface(preface)
        if received.isEmpty { context.read() } else { advance(context) }
    }

    private func beginTLS(_ context: ChannelHandlerContext) {
        guard configuration.usesTLS else { return judge(Router.Hello(), context) }
        switch configuration.role {
        case .server: handshake(as: .server, context)
        case .client: handshake(as: .client, context)
        case .detect: detect(context)
        }
    }

    /// Begins when it is its turn.
    private func handshake(as role: Role, _ context: ChannelHandlerContext) {
        stage = .handshake
        let longest = UInt64(max(0, policy.limits.handshakeTime.timeAmount.nanoseconds))
        guard let wait = intake.admission.handshakeWait(within: longest) else {
            return refuse(.handshakeRate, "limits.handshake-rate is reached", context)
        }
        guard wait > 0 else { return beginHandshake(as: role, context) }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: .nanoseconds(Int64(clamping: wait))) {
            let (handler, context) = bound.value
            if case .handshake = handler.stage { handler.beginHandshake(as: role, context) }
        }
    }

    private func beginHandshake(as role: Role, _ context: ChannelHandlerContext) {
        do {
            let bytes = ByteBuffer(bytes: received)
            received = []
            let handler = try context.pipeline.syncOperations.connectionHandler()
            switch role {
            case .server:
                guard let tls = policy.contexts[listener] else { return context.close(promise: nil) }
                try handler.startTLS(Handshake(server: tls), received: bytes)
            case .client:
                guard let tls = policy.clientContexts[listener] else { return context.close(promise: nil) }
                let handshake = try Handshake(client: tls, serverName: configuration.peerName ?? "")
                try handler.startTLS(handshake, received: bytes)
            }
        } catch {
            intake.log.error(
                "a handshake cannot begin", metadata: ["listener": "\(listener)", "reason": "\(error)"])
            context.close(promise: nil)
        }
    }

    private func detect(_ context: ChannelHandlerContext) {
        stage = .detection(RoleDetector())
        if let first = received.first { return detect(.received(first: first), context) }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        detectionTimer = context.eventLoop.scheduleTask(in: configuration.detectTime.timeAmount) {
            bound.value.0.detect(.timeLimit, bound.value.1)
        }
        context.read()
    }

    private func detect(_ event: RoleDetector.Event, _ context: ChannelHandlerContext) {
        guard case .detection(var detector) = stage else { return }
        let action = detector.handle(event)
        stage = .detection(detector)
        detectionTimer?.cancel()
        switch action {
        case .start(let role): handshake(as: role, context)
        case .notTLS: refuse(.preface, "it speaks first, and no TLS", context)
        case .close: context.close(promise: nil)
        case .ignore: return
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received += unwrapInboundIn(data).readableBytesView
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        advance(context)
    }

    private func advance(_ context: ChannelHandlerContext) {
        switch stage {
        case .proxyHeader: readProxyHeader(context)
        case .preface(let preface): advance(preface, context)
        case .detection:
            if let first = received.first { detect(.received(first: first), context) } else { context.read() }
        case .handshake, .done: return
        }
    }

    private func readProxyHeader(_ context: ChannelHandlerContext) {
        do throws(ProxyProtocolError) {
            let reading = try ProxyProtocolHeader.read(
                received.span.bytes, accepting: configuration.proxyProtocol.versions,
                limit: max(232, policy.limits.headerSize))
            guard case .complete(let header, let length) = reading else { return context.read() }
            received.removeFirst(length)
            uniqueID = header.extensions.uniqueID
            if let ends = header.endpoints {
                source = ends.source
                destination = ends.destination
                do throws(ConnectionLimits.Refusal) {
                    try intake.admission.attribute(to: ends.source.address)
                    counted = .from(ends.source.address)
                    guard intake.admission.mayCome(from: ends.source.address) else {
                        return refuse(
                            .connectionRatePerSource, "limits.connection-rate-per-source is reached", context)
                    }
                } catch {
                    counted = .from(nil)
                    return refuse(error, context)
                }
            }
            beginPreface(context)
        } catch {
            refuse(.proxyHeader, "its PROXY protocol header: \(error)", context)
        }
    }

    private func advance(_ preface: PlainPreface, _ context: ChannelHandlerContext) {
        var preface = preface
        let bytes = received
        received = []
        let step = preface.receive(bytes.span.bytes)
        if !step.reply.isEmpty {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: step.reply)), promise: nil)
        }
        switch step.next {
        case .read:
            stage = .preface(preface)
            context.read()
        case .beginTLS(let first):
            received = first
            beginTLS(context)
        case .forward(let request):
            received = request
            forward(context)
        case .close(let why): refuse(.preface, "the plain part: \(why)", context)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ConnectionEvent.established(let info) as ConnectionEvent:
            intake.tally.withLock {
                $0.handshakeEnded(version: "\(info.suite.version)", cipher: "\(info.suite)")
            }
            let hello = Router.Hello(serverName: info.serverName, applicationProtocol: info.applicationProtocol)
            stage = .done
            // The handler beneath is in the midst of its work.
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            context.eventLoop.execute { bound.value.0.judge(hello, bound.value.1) }
        case ChannelEvent.inputClosed as ChannelEvent:
            // What came before the end counts. Who ends before it has come to TLS wants nothing.
            if !received.isEmpty { advance(context) }
            if case .done = stage {} else { context.close(promise: nil) }
        default: break
        }
        context.fireUserInboundEventTriggered(event)
    }

    // MARK: Clients

    /// Whether the listener lets the client in. A session that it goes on with has its certificate, so that it is judged by the rules
    /// that hold now.
    private func judge(_ hello: Router.Hello, _ context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        facts = (try? context.pipeline.syncOperations.connectionHandler())?.handshakeFacts
        do throws(ClientRules.Refusal) {
            try ClientRules(configuration.clientRules).admit(identity)
            decide(hello, context)
        } catch {
            deny(error, "client-rules", context)
        }
    }

    private var identity: ClientIdentity? { facts?.client.map(ClientIdentity.init) }

    /// Refuses a client for its certificate. In TLS it is told so (RFC 8446 section 6.2).
    private func deny(_ refusal: ClientRules.Refusal, _ rules: String, _ context: ChannelHandlerContext) {
        stage = .done
        timer?.cancel()
        blame(.refused, "\(rules): \(refusal)", kind: RefusalReason.clientRules.rawValue)
        intake.tally.withLock { $0.refused(.clientRules) }
        guard let handler = try? context.pipeline.syncOperations.connectionHandler() else {
            return context.close(promise: nil)
        }
        let names = CertificateExtensions.names(facts?.client?.names ?? []).prefix(3).joined(separator: ", ")
        intake.refusalLog.say(
            .clientRules, "\(rules): \(refusal)", intake.log,
            [
                "listener": "\(listener)", "peer": "\(source.map { "\($0)" } ?? "")",
                "subject": "'\((handler.info?.peerCertificate?.subject ?? "").prefix(200))'", "names": "'\(names)'",
            ])
        let isUnknown = if case .noCertificate = refusal { handler.info?.version == .tls13 } else { false }
        if handler.isPlain { context.close(promise: nil) }
        handler.refuse(with: isUnknown ? .certificateRequired : .accessDenied)
    }

    /// What the upstream is to be told of the certificates, as far as any upstream is.
    private var certificates: CertificateExtensions {
        var told = CertificateExtensions()
        let wanted = policy.toldOfCertificates
        if wanted.contains(.certificateSignature) { told.signature = facts?.signature }
        if wanted.contains(.certificateKey) { told.key = facts?.key }
        if wanted.contains(.clientCertificate) { told.certificate = facts?.client?.der }
        // Names that can be taken for others are nobody's.
        if wanted.contains(.clientNames), let client = facts?.client, identity?.flaw == nil {
            told.names = CertificateExtensions.names(client.names)
        }
        return told
    }

    // MARK: Routes

    private func decide(_ hello: Router.Hello, _ context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        switch policy.router.decide(.init(listener: listener, hello: hello)) {
        case .target(let target, let route):
            do throws(ClientRules.Refusal) {
                try policy.routeRules[route]?.admit(identity)
                intake.tally.withLock { $0.routed(route) }
                let affinity = policy.affinities[route]?.key(source: source?.address, serverName: hello.serverName)
                handOver(target, route: route, affinity: affinity, context)
            } catch {
                deny(error, "routes.\(route).client-rules", context)
            }
        case .needs: handOver(nil, context)
        case .noRoute: refuse(.noRoute, "no route", context)
        }
    }

    /// A request of PostgreSQL's that comes without TLS, and so without a server name. It has no other way to be routed.
    private func forward(_ context: ChannelHandlerContext) {
        guard
            case .target(let target, let route) = policy.router.decide(.init(listener: listener, hello: Router.Hello())),
            case .upstream = target, policy.routeRules[route] == nil, configuration.clientRules.isEmpty
        else { return refuse(.noRoute, "no upstream for a cancel request, which names no server", context) }
        handOver(target, route: route, isCancelRequest: true, context)
    }

    /// - Parameter target: nil: its first request is to decide.
    private func handOver(
        _ target: Target?, route: String? = nil, affinity: UInt64? = nil, isCancelRequest: Bool = false,
        _ context: ChannelHandlerContext
    ) {
        stage = .done
        timer?.cancel()
        // It stays counted until it has been placed.
        let before = counted
        counted = .no
        do {
            let handler = try context.pipeline.syncOperations.connectionHandler()
            // Makes the name that it has in all logs.
            _ = handler.logID
            handler.metadata.target = target
            handler.metadata.route = route
            handler.metadata.isUndecided = target == nil
            handler.metadata.affinity = affinity
            handler.metadata.isCancelRequest = isCancelRequest
            handler.metadata.startTLS = configuration.startTLS
            handler.metadata.uniqueID = uniqueID
            if target == nil { handler.metadata.admittedRoutes = admittedRoutes }
            if target.map(\.isUpstream) ?? true { handler.metadata.certificates = certificates }
            handler.metadata.source = source
            handler.metadata.destination = destination
            // A program of somebody else's finds the bytes read as they are.
            let state: [UInt8] =
                if case .worker? = target { received } else { SessionState(received: received).encoded }
            // Its channel closes within that.
            isHandedOver = true
            var parcel = try handler.detach(applicationState: state)
            parcel.metadata.stampDetached()
            if case .worker? = target {} else { parcel.metadata.noteFirstWorker() }
            let origin: IPAddress? = if case .from(let origin) = before { origin } else { nil }
            intake.place(DetachedConnection(parcel), target, origin)
        } catch {
            counted = before
            isHandedOver = false
            blame(.notServed, "\(error)", kind: "not_served")
            intake.log.debug("a connection cannot be handed over", metadata: ["reason": "\(error)"])
            context.close(promise: nil)
        }
    }

    /// The routes with rules that the client may come by: its first request is to choose one.
    private var admittedRoutes: [UInt64] {
        guard !policy.routeRules.isEmpty, let identity else { return [] }
        return policy.routeRules.compactMap { route, rules in
            (try? rules.admit(identity)) == nil ? nil : rules.digest(of: route)
        }
    }

    // MARK: Ends

    private func limit(_ time: Duration, _ context: ChannelHandlerContext) {
        timer?.cancel()
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: time.timeAmount) {
            let (handler, context) = bound.value
            if case .done = handler.stage { return }
            if case .handshake = handler.stage {
                handler.countFailure("timed_out")
                handler.blame(.handshakeFailed, "it was not finished within limits.handshake-time", kind: "timed_out")
            }
            handler.refuse(.time, "its time was over", context)
        }
    }

    private func refuse(_ limit: ConnectionLimits.Refusal, _ context: ChannelHandlerContext) {
        switch limit {
        case .total: refuse(.connections, "limits.connections is reached", context)
        case .perSource: refuse(.connectionsPerSource, "limits.connections-per-source is reached", context)
        }
    }

    private func countFailure(_ reason: String) {
        intake.tally.withLock { $0.handshakeFailed(reason) }
    }

    private func refuse(_ reason: RefusalReason, _ why: String, _ context: ChannelHandlerContext) {
        stage = .done
        blame(.refused, why, kind: reason.rawValue)
        intake.tally.withLock { $0.refused(reason) }
        let names: Logger.Metadata = ["listener": "\(listener)", "peer": "\(source.map { "\($0)" } ?? "")"]
        switch reason {
        case .handshakeRate, .connectionRatePerSource: intake.refusalLog.say(reason, why, intake.log, names)
        default: intake.log.info("a connection is refused", metadata: names.merging(["reason": "\(why)"]) { $1 })
        }
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? ConnectionError, error.code == .detached { return }
        if case .handshake = stage {
            stage = .done
            let reason =
                (error as? HandshakeError)?.code.rawValue.snakeCased
                ?? ((error as? ConnectionError)?.code == .handshakeTimedOut ? "timed_out" : "reset")
            countFailure(reason)
            blame(.handshakeFailed, Self.detail(of: error, reason), kind: reason)
        }
        var names: Logger.Metadata = ["listener": "\(listener)", "peer": "\(source.map { "\($0)" } ?? "")"]
        names["connection"] = (try? context.pipeline.syncOperations.connectionHandler()).map { "\($0.logID)" }
        if let error = error as? HandshakeError, error.code == .unrecognizedName {
            intake.tally.withLock { $0.refused(.serverName) }
            intake.refusalLog.say(.serverName, "\(error)", intake.log, names)
        } else if let fault = ConnectionFault(error) {
            intake.faultLog.say(fault, at: .info, in: intake.log, names)
        } else {
            intake.log.debug("a connection failed", metadata: names.merging(["reason": "\(error)"]) { $1 })
        }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        stage = .done
        timer?.cancel()
        detectionTimer?.cancel()
        switch counted {
        case .no: break
        case .from(let origin): intake.admission.dismiss(from: origin)
        }
        counted = .no
        noteEnd()
        context.fireChannelInactive()
    }

    // MARK: The access log

    private func blame(_ end: AccessRecord.End, _ detail: String?, kind: String) {
        if ending == nil { ending = (end, detail, kind) }
    }

    /// Strangers bring these about as often as they like, so not each has a line.
    private func noteEnd() {
        guard !isHandedOver else { return }
        isHandedOver = true
        let (end, detail, kind) = ending ?? (.clientClosed, nil, "client_closed")
        AccessLog.process.writeSome(kind, record(end, detail))
    }

    private func record(_ end: AccessRecord.End, _ detail: String?) -> AccessRecord {
        let handler = try? context?.pipeline.syncOperations.connectionHandler()
        var metadata = handler?.metadata ?? ParcelMetadata()
        metadata.listener = listener
        (metadata.source, metadata.destination) = (source, destination)
        var record = AccessRecord(RelayNote(metadata, handler?.info, tellsSubject: true), end, detail: detail)
        record.id = handler?.logID
        return record
    }

    /// In the words of RFC 8446 section 6 where there is an alert.
    private static func detail(of error: any Error, _ reason: String) -> String {
        guard let error = error as? HandshakeError else { return reason.replacing("_", with: " ") }
        guard let alert = error.alert else { return error.message }
        return error.code == .alertReceived ? "alert received: \(alert)" : "alert sent: \(alert): \(error.message)"
    }
}

extension Target {
    fileprivate var isUpstream: Bool { if case .upstream = self { true } else { false } }
}

extension Listener {
    func mayBeLoadBalancer(_ address: IPAddress) -> Bool {
        proxyProtocol == .off || proxyProtocolSources.isEmpty || proxyProtocolSources.contains { $0.contains(address) }
    }
}

extension Endpoint {
    /// The endpoint of a TCP address.
    init?(_ address: SocketAddress) {
        guard let text = address.ipAddress, let ip = IPAddress(text.split(separator: "%")[0]), let port = address.port
        else { return nil }
        self.init(ip, port: UInt16(truncatingIfNeeded: port))
    }
}
