internal import BatonConfiguration
internal import BatonNIO
internal import Handoff
internal import Logging
internal import NIOCore

/// A PostgreSQL client's CancelRequest, which came in the clear: it is given to the upstream, and both connections end
/// when the upstream ends. Nothing else that the client sends is read, so nothing else goes on without TLS; and the request
/// is delivered also if the client does not wait for that.
final class CancelSession: Session {
    /// From the request to the upstream's end.
    private static let timeLimit = TimeAmount.seconds(10)

    private let name: String
    private var request: [UInt8] = []
    private var connector: UpstreamConnector?
    private var lease: UpstreamLease?
    private var isSent = false
    private var isClientGone = false
    /// The upstream has ended, or cannot be reached. Until then the session counts, also if its client has gone: what it
    /// holds is limited as other connections are, and a worker that leaves waits for it.
    private var isUpstreamDone = false

    init(_ worker: Worker, upstream name: String, _ metadata: ParcelMetadata) {
        self.name = name
        super.init(worker, target: .upstream(name), metadata)
    }

    override func install(in channel: any Channel, _ state: SessionState) throws {
        try super.install(in: channel, state)
        request = state.received
        try channel.pipeline.syncOperations.addHandler(
            UnreadClientHandler(self) { [unowned self] in
                clientIsGone()
            } broke: {
                channel.close(promise: nil)
            })
    }

    override func state() -> SessionState { SessionState(received: request) }

    /// Until it is sent, another worker can send it as well.
    override func detach() throws -> Parcel {
        guard !isSent else { throw ConnectionMoveError.changing }
        return try super.detach()
    }

    override var mayLeaveHost: Bool { false }

    override func begin() {
        guard let upstream = worker.configuration.upstreams[name], let handler = try? clientHandler() else {
            return upstreamIsDone()
        }
        let session = NIOLoopBound(self, eventLoop: worker.loop)
        let connector = UpstreamConnector(worker, name, upstream, for: UpstreamClient(handler)) { result in
            let session = session.value
            session.connector = nil
            switch result {
            case .success(let connected):
                session.lease = connected.lease
                session.send(on: connected.opened.channel)
            case .failure(let error):
                session.blame(.upstreamUnreachable, "\(error)")
                session.worker.noteUpstreamFault(error, session.name)
                session.worker.log.warning(
                    "the upstream cannot be reached", metadata: ["upstream": "\(session.name)", "reason": "\(error)"])
                session.upstreamIsDone()
            }
        }
        self.connector = connector
        connector.start()
    }

    private func send(on channel: any Channel) {
        isSent = true
        let session = NIOLoopBound(self, eventLoop: worker.loop)
        let upstream = NIOLoopBound(channel, eventLoop: worker.loop)
        channel.closeFuture.whenComplete { _ in session.value.upstreamIsDone() }
        worker.loop.scheduleTask(in: Self.timeLimit) { upstream.value.close(promise: nil) }
        do {
            try channel.pipeline.syncOperations.addHandler(UpstreamSide())
            channel.writeAndFlush(ByteBuffer(bytes: request), promise: nil)
            channel.read()
        } catch {
            channel.close(promise: nil)
        }
    }

    private func upstreamIsDone() {
        isUpstreamDone = true
        lease?.release()
        if isClientGone { end(isMoved: false) } else { close() }
    }

    private func clientIsGone() {
        isClientGone = true
        if isUpstreamDone { end(isMoved: false) }
    }

    override func clientEnded(isMoved: Bool) {
        if isMoved { connector?.cancel() }
    }

    /// Waits for the end; there is no answer to a CancelRequest.
    private final class UpstreamSide: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        func channelReadComplete(context: ChannelHandlerContext) { context.read() }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case .some(.inputClosed) = event as? ChannelEvent { context.close(promise: nil) }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
