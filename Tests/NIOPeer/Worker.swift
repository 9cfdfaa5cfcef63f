import BatonNIO
import Glibc
import Handoff
import NIOCore
import Synchronization

/// Hands connections on to the next worker; what comes back goes on here.
final class Worker: Sendable {
    let moveEvery: Int
    private let next: String
    private let sender = Mutex<HandoffSender?>(nil)
    private let bootstrap = Mutex<ConnectionBootstrap?>(nil)
    private let failed = Atomic<Int>(0)

    init(next: String, moveEvery: Int) {
        self.next = next
        self.moveEvery = moveEvery
    }

    var failures: Int { failed.load(ordering: .relaxed) }

    func use(_ bootstrap: ConnectionBootstrap) { self.bootstrap.withLock { $0 = bootstrap } }

    func connect() throws {
        let sender = try HandoffSender(to: next)
        self.sender.withLock { $0 = sender }
    }

    func handOn(_ context: ChannelHandlerContext) {
        guard let sender = sender.withLock({ $0 }), let bootstrap = bootstrap.withLock({ $0 }) else { return }
        do {
            let parcel = try context.pipeline.syncOperations.connectionHandler().detach()
            sender.offer(parcel) { [self] fate in
                guard case .handedOver = fate else {
                    failed.wrappingAdd(1, ordering: .relaxed)
                    if case .returned(let connection, _) = fate, let parcel = connection.take() {
                        _ = bootstrap.attach(parcel, on: bootstrap.group.next())
                    }
                    return
                }
            }
        } catch {
            failed.wrappingAdd(1, ordering: .relaxed)
        }
    }
}

final class WorkerEcho: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private let worker: Worker
    private var count = 0

    init(_ worker: Worker) { self.worker = worker }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        count += buffer.readableBytes
        context.write(wrapOutboundOut(buffer), promise: nil)
        if count >= worker.moveEvery {
            count = 0
            worker.handOn(context)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) { context.flush() }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// Answers each read with how many there have been on this connection, and which process says so.
final class LineCounter: ChannelInboundHandler {
    struct State: Codable {
        var reads = 0
    }

    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private(set) var state: State

    init(_ state: State) { self.state = state }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        state.reads += 1
        let text = String(buffer: unwrapInboundIn(data))
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "\(text) \(state.reads) \(getpid())")), promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
