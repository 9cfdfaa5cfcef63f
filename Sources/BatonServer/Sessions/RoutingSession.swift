internal import BatonConfiguration
internal import BatonNIO
internal import Handoff
internal import Logging
internal import NIOCore
internal import TLSRecords

/// A connection whose first request line decides where it goes. It waits for that line like any other session: it moves,
/// and may say nothing for as long as the listener's `idle-time` allows, as the connections do that browsers open ahead.
/// From its first byte on the line has `limits.header-time`.
///
/// Nothing is guessed: what is no request line, or none in time, is answered and closed, and no upstream sees it.
final class RoutingSession: Session {
    private var received: [UInt8] = []
    private var timer: Scheduled<Void>?
    private var isOver = false
    /// How much has been searched for the end of a line, and how much there was when it was last read.
    private var searched = 0
    private var lastRead = 0

    private static let longestRead = 16_384

    override func install(in channel: any Channel, _ state: SessionState) throws {
        try super.install(in: channel, state)
        // The engine begins a session with what fits into its memory, and what is read beside the line goes there with it.
        try channel.syncOptions?.setOption(.maxMessagesPerRead, value: 1)
        try channel.syncOptions?.setOption(
            .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: Self.longestRead))
        received = state.received
        try channel.pipeline.syncOperations.addHandler(Handler(self))
    }

    override func begin() { decide() }

    override func state() -> SessionState { SessionState(received: received) }

    override var isIdle: Bool { received.isEmpty }

    override func clientEnded(isMoved: Bool) {
        isOver = true
        timer?.cancel()
        received = []
    }

    private func decide() {
        guard !isOver else { return }
        guard !received.isEmpty else { client?.read(); return }
        guard isWorthReading() else {
            client?.read()
            return
        }
        switch RequestLine.read(received.span.bytes, limit: worker.configuration.limits.headerSize) {
        case .incomplete:
            limitTime()
            client?.read()
        case .line(let line, _): decide(by: line)
        case .http2:
            refuse(
                .noRoute, "HTTP/2, and its route depends on an HTTP/1 request line; give it a route by alpn",
                HTTPRefusal.http11Required)
        case .notHTTP:
            refuse(
                .badRequest, "its route depends on a request line, and it sent none",
                HTTPRefusal.response("400 Bad Request", "This is not an HTTP/1.1 request."))
        case .tooLong:
            refuse(
                .badRequest, "its request line is longer than limits.header-size",
                HTTPRefusal.response("414 URI Too Long", "The request line is too long."))
        }
    }

    /// Whether reading what has come may say more than it did last time. Reading all of it at each byte would take a time
    /// that grows with its square.
    private func isWorthReading() -> Bool {
        let hasLine = received.dropFirst(searched).contains(UInt8(ascii: "\n"))
        searched = received.count
        let limit = worker.configuration.limits.headerSize
        guard hasLine || received.count >= min(2 * lastRead, limit) else { return false }
        lastRead = received.count
        return true
    }

    private func decide(by line: RequestLine) {
        guard let handler = try? clientHandler() else { return close() }
        let hello = Router.Hello(
            serverName: handler.info?.serverName, applicationProtocol: handler.info?.applicationProtocol)
        let facts = Router.Facts(listener: handler.metadata.listener ?? "", hello: hello, request: line)
        switch worker.router.decide(facts) {
        case .target(let target, let route):
            let rules = ClientRules(worker.configuration.routes[route]?.clientRules ?? [])
            // Judged by the front, by these very rules: those of another configuration let nobody in.
            guard rules.isEmpty || handler.metadata.admittedRoutes.contains(rules.digest(of: route)) else {
                return refuse(
                    .clientRules, "routes.\(route).client-rules do not let it in",
                    HTTPRefusal.response("403 Forbidden", "This is not for you."))
            }
            timer?.cancel()
            do {
                // Its sessions stay here, so it is not counted as one that has moved.
                staysInWorker = true
                var parcel = try detach()
                parcel.metadata.isUndecided = false
                parcel.metadata.idleFor = 0
                parcel.metadata.target = target
                parcel.metadata.route = route
                worker.report.routed.count(route)
                parcel.metadata.admittedRoutes = []
                if case .upstream = target {} else { parcel.metadata.certificates = .init() }
                parcel.metadata.affinity = worker.configuration.routes[route]?.affinity?.key(
                    source: parcel.metadata.source?.address, serverName: hello.serverName, request: line)
                worker.serve(parcel)
            } catch {
                worker.note(error, of: self)
                close()
            }
        case .needs, .noRoute:
            refuse(.noRoute, "no route", HTTPRefusal.response("404 Not Found", "There is nothing here."))
        }
    }

    private func limitTime() {
        guard timer == nil else { return }
        let session = NIOLoopBound(self, eventLoop: worker.loop)
        timer = worker.loop.scheduleTask(in: worker.configuration.limits.headerTime.timeAmount) {
            session.value.refuse(
                .time, "its request line took longer than limits.header-time",
                HTTPRefusal.response("408 Request Timeout", "The request took too long."))
        }
    }

    private func refuse(_ reason: RefusalReason, _ why: String, _ answer: [UInt8]) {
        guard !isOver else { return }
        isOver = true
        timer?.cancel()
        // Whoever closes it in the end has nothing to decide.
        received = []
        let peer = (try? clientHandler())?.metadata.source.map { "\($0)" } ?? ""
        worker.refused(reason)
        blame(.refused, why)
        worker.log.info("a connection is refused", metadata: ["peer": "\(peer)", "reason": "\(why)"])
        client?.writeAndFlush(ByteBuffer(bytes: answer), promise: nil)
        close()
    }

    /// The peer says nothing more: what it has said so far is all.
    private func inputClosed() {
        decide()
        guard !isOver, !hasEnded else { return }
        if received.isEmpty { return close() }
        refuse(
            .badRequest, "it ended within its request line",
            HTTPRefusal.response("400 Bad Request", "The request is incomplete."))
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let session: RoutingSession

        init(_ session: RoutingSession) { self.session = session }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            session.received += unwrapInboundIn(data).readableBytesView
        }

        func channelReadComplete(context: ChannelHandlerContext) {
            session.touch()
            session.decide()
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if event as? ConnectionEvent == .detached {
                session.end(isMoved: true)
            } else if case .some(.inputClosed) = event as? ChannelEvent {
                session.inputClosed()
            }
            context.fireUserInboundEventTriggered(event)
        }

        func channelInactive(context: ChannelHandlerContext) {
            session.end(isMoved: false)
            context.fireChannelInactive()
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            session.worker.note(error, of: session)
            context.close(promise: nil)
        }
    }
}
