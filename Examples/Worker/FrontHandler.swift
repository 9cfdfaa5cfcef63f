import BatonNIO
import NIOCore

/// Reads until the first request's head is complete, then hands the connection on with every byte it read.
final class FrontHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private static let longestHead = 16_384
    private let worker: HandoffSender
    private var head: [UInt8] = []

    init(_ worker: HandoffSender) { self.worker = worker }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        head += unwrapInboundIn(data).readableBytesView
        guard isComplete else {
            if head.count > Self.longestHead { context.close(promise: nil) }
            return
        }
        do {
            let parcel = try context.pipeline.syncOperations.connectionHandler().detach(applicationState: head)
            worker.offer(parcel) { fate in
                // A front without a worker has nobody to answer: what comes back is closed with the parcel.
                if case .handedOver = fate { return }
                print("the worker did not take a connection: \(fate)")
            }
        } catch {
            context.close(promise: nil)
        }
    }

    private var isComplete: Bool {
        head.indices.contains { index in head[index...].starts(with: [13, 10, 13, 10]) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
