import BatonNIO
import NIOCore

/// Reads the head of a connection's request, and sees that the connection gets to the process that owns the token: to this one's
/// `Meetings`, or by handoff to another front, with every byte that has been read.
final class Greeter: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let cluster: Cluster
    private let neighbours: Neighbours
    private let meetings: Meetings
    private let duty: Duty
    /// Whether another front has sent the connection here.
    private let isRouted: Bool
    private var bytes: [UInt8] = []
    /// So many of them do not hold the head's end.
    private var searchedCount = 0
    private var limit: Scheduled<Void>?

    init(_ cluster: Cluster, _ neighbours: Neighbours, _ meetings: Meetings, _ duty: Duty, isRouted: Bool) {
        self.cluster = cluster
        self.neighbours = neighbours
        self.meetings = meetings
        self.duty = duty
        self.isRouted = isRouted
    }

    func handlerAdded(context: ChannelHandlerContext) {
        // Who takes longer for a request's head wants something else.
        let channel = context.channel
        limit = context.eventLoop.scheduleTask(in: .seconds(20)) { channel.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { limit?.cancel() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        bytes += unwrapInboundIn(data).readableBytesView
        do {
            guard let head = try RequestHead(bytes, searched: searchedCount) else {
                searchedCount = bytes.count
                return
            }
            let (token, wish) = try Wish.read(head)
            let owner = cluster.owner(of: token)
            if owner == cluster.front, duty.isEnding {
                // The successor listens there soon.
                try send(context, to: owner)
            } else if owner == cluster.front {
                try seat(context, token, wish, head)
            } else if isRouted {
                throw Refusal.misdirected("the fronts do not agree on who they are; start all with the same --fronts")
            } else {
                try send(context, to: owner)
            }
        } catch let refusal as Refusal {
            bytes = []
            limit?.cancel()
            refusal.answer(context)
        } catch {
            context.close(promise: nil)
        }
    }

    /// What has been read goes with the connection, wherever that goes.
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ConnectionEvent.suspending = event, !bytes.isEmpty {
            try? context.pipeline.syncOperations.connectionHandler().unread(ByteBuffer(bytes: bytes))
            // Should the connection stay, they come again.
            (bytes, searchedCount) = ([], 0)
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func send(_ context: ChannelHandlerContext, to owner: String) throws {
        let state = try Seat.routed.encoded()
        let parcel = try context.pipeline.syncOperations.connectionHandler().detach(applicationState: state)
        neighbours.deliver(DetachedConnection(parcel), to: owner, on: context.eventLoop)
    }

    private func seat(_ context: ChannelHandlerContext, _ token: String, _ wish: Wish, _ head: RequestHead) throws {
        let pipeline = context.pipeline.syncOperations
        let rest = ByteBuffer(bytes: bytes[head.byteCount...])
        switch wish {
        case .upload(let body, let total, let waits):
            let state = Uploader.State(token: token, body: body, total: total, waitsForContinue: waits)
            try pipeline.addHandler(Uploader(state, meetings, rest))
        case .download:
            try pipeline.addHandler(Downloader(Downloader.State(token: token), meetings))
        case .events:
            try Watcher.upgrade(context.channel, token, meetings)
            let first = ByteBuffer(bytes: bytes)
            bytes = []
            context.fireChannelRead(wrapInboundOut(first))
            context.fireChannelReadComplete()
        }
        bytes = []
        pipeline.removeHandler(self, promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
