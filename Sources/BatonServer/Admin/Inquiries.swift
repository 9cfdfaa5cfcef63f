internal import NIOCore

/// Questions to the workers about their connections. What does not come in time is left out. Used on `loop` only.
final class Inquiries: @unchecked Sendable {
    static let limit = TimeAmount.seconds(2)

    private let loop: any EventLoop
    private var open: [UInt64: (inquiry: Inquiry, promise: EventLoopPromise<Inquiry>)] = [:]
    private var last: UInt64 = 0

    init(on loop: any EventLoop) { self.loop = loop }

    /// Asks workers for their connections, as many of each as are asked for.
    func ask(_ workers: [WorkerHandle], _ query: ConnectionQuery) -> EventLoopFuture<Inquiry> {
        last += 1
        let id = last
        let promise = loop.makePromise(of: Inquiry.self)
        open[id] = (Inquiry(of: Set(workers.map(\.number))), promise)
        for worker in workers {
            worker.link?.send(.list(query.request(id, to: worker.number)))
        }
        loop.scheduleTask(in: Self.limit) { self.settle(id) }
        settleIfDone(id)
        return promise.futureResult
    }

    /// A worker has answered.
    func answered(_ listing: Listing, by worker: Int) {
        open[listing.id]?.inquiry.answered(listing, by: worker)
        settleIfDone(listing.id)
    }

    /// A worker is gone.
    func ended(_ worker: Int) {
        for id in open.keys {
            open[id]?.inquiry.ended(worker)
            settleIfDone(id)
        }
    }

    private func settleIfDone(_ id: UInt64) {
        if open[id]?.inquiry.isSettled == true { settle(id) }
    }

    private func settle(_ id: UInt64) {
        guard let (inquiry, promise) = open.removeValue(forKey: id) else { return }
        promise.succeed(inquiry)
    }
}
