import BatonCore
import Glibc
import Testing

@testable import Handoff

@Suite("a sender of parcels", .timeLimit(.minutes(2)))
struct ParcelSenderTests {
    /// A sender, and what it tells.
    private struct Scene {
        let path = temporaryDirectory() + "/receiver"
        let sender: ParcelSender
        private let deliveries: AsyncStream<ParcelSender.Delivery>

        init(timeLimit: Duration = .seconds(60), maxParcels: Int = 64) {
            let (stream, continuation) = AsyncStream.makeStream(of: ParcelSender.Delivery.self)
            deliveries = stream
            sender = ParcelSender(reconnectingTo: path, timeLimit: timeLimit, maxParcels: maxParcels) {
                continuation.yield($0)
            }
        }

        func delivery() async throws -> ParcelSender.Delivery {
            for await delivery in deliveries { return delivery }
            throw TestFailure("no delivery")
        }

        /// The parcels of `count` offers.
        func deliveries(_ count: Int) async throws -> [ParcelSender.Delivery] {
            var all: [ParcelSender.Delivery] = []
            while all.count < count { all.append(try await delivery()) }
            return all
        }
    }

    /// A receiver in this process, and the states of the parcels it was given, offer by offer.
    private final class Receiver {
        let offers: AsyncStream<[UInt8]>
        private let receiver: ParcelReceiver
        private let ended: AsyncStream<Void>
        private let end: AsyncStream<Void>.Continuation

        init(at path: String, decide: @escaping ParcelReceiver.Decision = { _ in .accept }) throws {
            let (offers, continuation) = AsyncStream.makeStream(of: [UInt8].self)
            self.offers = offers
            (ended, end) = AsyncStream.makeStream(of: Void.self)
            receiver = try ParcelReceiver(
                at: path, decide: decide,
                received: { boxes in
                    continuation.yield(
                        boxes.map { box in
                            guard let parcel = box.take() else { return 0 }
                            return parcel.applicationState.first ?? 0
                        })
                })
            try receiver.start()
        }

        deinit { receiver.stop() }

        func offers(_ count: Int) async -> [[UInt8]] {
            var all: [[UInt8]] = []
            for await offer in offers {
                all.append(offer)
                if all.count == count { break }
            }
            return all
        }

        func stop() async {
            receiver.stop { [end] in end.finish() }
            for await _ in ended {}
        }
    }

    private func box(_ number: UInt8, bytes: Int = 1) -> ParcelBox {
        ParcelBox(Parcel(applicationState: [UInt8](repeating: number, count: bytes)))
    }

    @Test("gives no more than so many parcels in one offer")
    func batchesByNumber() async throws {
        let scene = Scene(maxParcels: 2)
        let receiver = try Receiver(at: scene.path)
        scene.sender.send((1...5).map { box($0) })
        #expect(await receiver.offers(3) == [[1, 2], [3, 4], [5]])
        #expect(try await scene.deliveries(3).map(\.handedOver) == [2, 2, 1])
    }

    @Test("gives no more than so many bytes in one offer, unless one parcel alone has more")
    func batchesByBytes() async throws {
        let scene = Scene()
        let receiver = try Receiver(at: scene.path)
        let most = ParcelSender.maxBytes
        scene.sender.send([box(1, bytes: most), box(2, bytes: most + 1), box(3, bytes: most - 1), box(4), box(5)])
        #expect(await receiver.offers(4) == [[1], [2], [3, 4], [5]])
        #expect(try await scene.deliveries(4).map(\.handedOver) == [1, 1, 2, 1])
    }

    @Test("gives parcels back while nobody listens, and hands them to whoever listens next, time and again")
    func reconnects() async throws {
        let scene = Scene()
        var waiting = [box(7)]
        for _ in 0..<3 {
            scene.sender.send(waiting)
            let failed = try await scene.delivery()
            #expect(failed.handedOver == 0 && failed.lost == 0 && failed.reason != nil)
            #expect(failed.failures == [.unreachable(.nobodyListening): 1])
            let receiver = try Receiver(at: scene.path)
            scene.sender.send(failed.returned)
            #expect(await receiver.offers(1) == [[7]])
            #expect(try await scene.delivery().handedOver == 1)
            await receiver.stop()
            waiting = [box(7)]
        }
    }

    @Test("gives back what the receiver declines, with the reason, and nothing else")
    func declined() async throws {
        let scene = Scene()
        let receiver = try Receiver(at: scene.path) { $0.applicationState == [2] ? .decline(.noRoom) : .accept }
        scene.sender.send((1...3).map { box($0) })
        #expect(await receiver.offers(1) == [[1, 3]])
        let delivery = try await scene.delivery()
        #expect(delivery.handedOver == 2 && delivery.lost == 0 && delivery.count == 3)
        #expect(delivery.failures == [.declined(.noRoom): 1])
        #expect(delivery.reason == "no room")
        let states = delivery.returned.map { $0.take()?.applicationState }
        #expect(states == [[2]])
    }

    @Test("takes back what a receiver does not answer, and at once what was not offered to it")
    func stalls() async throws {
        let scene = Scene(timeLimit: .seconds(2))
        do {
            let listener = try HandoffListener(at: scene.path)
            scene.sender.send([box(1)])
            // Whoever has connected is being offered to; this one says nothing.
            let socket = try listener.accept(deadline: generously())
            scene.sender.send([box(2), box(3)])
            scene.sender.recall()
            let recalled = try await scene.delivery()
            #expect(recalled.failures == [.declined(.unresponsive): 2])
            #expect(recalled.returned.map { $0.take()?.applicationState } == [[2], [3]])
            let stalled = try await scene.delivery()
            #expect(stalled.failures == [.takenBack(.cancelled): 1])
            #expect(stalled.returned.map { $0.take()?.applicationState } == [[1]])
            _ = consume socket
        }
        // And the next at its place takes them.
        let receiver = try Receiver(at: scene.path)
        scene.sender.send([box(4)])
        #expect(await receiver.offers(1) == [[4]])
        #expect(try await scene.delivery().handedOver == 1)
    }

    @Test("gives parcels back when the receiver dies in the midst of an offer")
    func receiverDies() async throws {
        let scene = Scene()
        do {
            let listener = try HandoffListener(at: scene.path)
            scene.sender.send([box(1)])
            _ = try listener.accept(deadline: generously())
        }
        let delivery = try await scene.delivery()
        #expect(delivery.failures == [.takenBack(.channelEnded): 1])
        #expect(delivery.returned.map { $0.take()?.applicationState } == [[1]])
    }

    @Test("tells each parcel's fate to whom it concerns")
    func completions() async throws {
        let path = temporaryDirectory() + "/receiver"
        let receiver = try Receiver(at: path) { $0.applicationState == [2] ? .decline(.application(3)) : .accept }
        let sender = try ParcelSender(to: path)
        guard case .handedOver = await sender.offer(box(1)) else { throw TestFailure("not handed over") }
        guard case .returned(let back, let reason) = await sender.offer(box(2)) else { throw TestFailure("taken") }
        #expect(reason == .application(3))
        let state = back.take()?.applicationState
        #expect(state == [2])
        guard case .closed = await sender.offer(back) else { throw TestFailure("offered an empty box") }
        #expect(sender.isOpen)
        #expect(await receiver.offers(1) == [[1]])
        await receiver.stop()
        #expect(!sender.isOpen)
        guard case .returned(_, nil) = await sender.offer(box(3)) else { throw TestFailure("taken by nobody") }
    }

    @Test("hands over what was offered before it is closed, and nothing after")
    func closes() async throws {
        let scene = Scene()
        let receiver = try Receiver(at: scene.path)
        scene.sender.send([box(1), box(2)])
        scene.sender.close()
        #expect(!scene.sender.isOpen)
        scene.sender.send([box(3)])
        #expect(await receiver.offers(1) == [[1, 2]])
        let deliveries = try await scene.deliveries(2)
        #expect(deliveries.map(\.handedOver).sorted() == [0, 2])
        #expect(deliveries.flatMap(\.returned).map { $0.take()?.applicationState } == [[3]])
    }
}
