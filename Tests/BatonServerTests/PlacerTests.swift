import BatonConfiguration
import BatonCore
import Dispatch
import Foundation
import Handoff
import Synchronization
import Testing

@testable import BatonServer

@Suite("Parcels are given to receivers, and each is counted once on its way", .timeLimit(.minutes(2)))
struct PlacerTests {
    private static let source = IPAddress("192.0.2.1")!

    private enum Told: Equatable {
        case handedOver(Int)
        case returned(Int)
        case countedAgain
        case waits(String)
        case abandoned
        case doubted(Int, path: String)
    }

    /// A placer on a queue of its own, and what it tells. Each connection is counted here until its receiver tells of it.
    private final class Scene: @unchecked Sendable {
        private let folder = NSTemporaryDirectory() + "baton-placer-" + UUID().uuidString
        private let queue = DispatchQueue(label: "baton.placer-tests")
        private let told: AsyncStream<Told>
        private let teller: AsyncStream<Told>.Continuation
        private let candidates = Mutex<[PlacementPlan.Candidate]>([])
        /// Used on `queue` only.
        private var placer: Placer!
        private var counted = 0

        init(_ limits: PlacementLimits = .newcomers) throws {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            (told, teller) = AsyncStream.makeStream(of: Told.self)
            placer = Placer(
                limits, numberedAfter: 7,
                .init(
                    choose: { [self] order in
                        if case .worker(let path)? = order.target { return .only(path) }
                        return .leastLoaded(candidates.withLock { $0 })
                    },
                    delivered: { [self] delivery in
                        if delivery.handedOver > 0 { teller.yield(.handedOver(delivery.handedOver)) }
                        if !delivery.returned.isEmpty { teller.yield(.returned(delivery.returned.count)) }
                    },
                    waits: { [self] _, reason in teller.yield(.waits(reason)) },
                    abandoned: { [self] order, _, _ in
                        #expect(order.source == PlacerTests.source)
                        counted -= 1
                        teller.yield(.abandoned)
                    },
                    released: { [self] sources in
                        #expect(sources.allSatisfy { $0 == PlacerTests.source })
                        counted -= sources.count
                        #expect(counted >= 0)
                    },
                    adopted: { [self] source in
                        #expect(source == PlacerTests.source)
                        counted += 1
                        teller.yield(.countedAgain)
                    },
                    doubted: { [self] in teller.yield(.doubted($0, path: $1)) },
                    run: { [queue] delay, task in
                        let task = DispatchWorkItem(block: task)
                        if let delay {
                            queue.asyncAfter(deadline: .now() + .nanoseconds(Int(delay.nanoseconds)), execute: task)
                        } else {
                            queue.async(execute: task)
                        }
                    }))
        }

        func path(_ name: String) -> String { "\(folder)/\(name)" }

        /// The receivers there are, with so many connections each.
        func use(_ receivers: KeyValuePairs<String, Int>) {
            let all = receivers.map { PlacementPlan.Candidate(path: path($0.key), connections: $0.value) }
            candidates.withLock { $0 = all }
        }

        func place(for target: Target? = nil) {
            queue.sync {
                counted += 1
                var parcel = Parcel(applicationState: [1])
                parcel.metadata.source = Endpoint(PlacerTests.source, port: 4711)
                parcel.metadata.target = target
                parcel.metadata.stampDetached()
                placer.place(
                    ParcelBox(parcel),
                    PlacementOrder(target: target, source: PlacerTests.source, since: MonotonicTime.now))
            }
        }

        /// The connections that are counted here, those that nobody has, and whether a receiver has to tell of any.
        var state: State {
            queue.sync { State(counted: counted, here: placer.count, isAwaiting: placer.isAwaiting) }
        }

        func arrived(_ number: UInt64?, at name: String) {
            queue.sync { placer.arrived(number.map { [$0] } ?? [], at: path(name)) }
        }

        func forget(_ name: String) { queue.sync { placer.forget(path(name)) } }

        /// What is told next.
        func next() async -> Told? {
            for await told in told { return told }
            return nil
        }

        func end() {
            queue.sync { placer.forget(allBut: []) }
            try? FileManager.default.removeItem(atPath: folder)
        }
    }

    private struct State: Equatable {
        var counted: Int
        var here: Int
        var isAwaiting: Bool
    }

    /// A receiver in this process, and the numbers that parcels had with them.
    private final class Receiver {
        private let numbers: AsyncStream<UInt64?>
        private let receiver: ParcelReceiver

        init(at path: String, declining reason: DeclineReason? = nil) throws {
            let (numbers, continuation) = AsyncStream.makeStream(of: UInt64?.self)
            self.numbers = numbers
            receiver = try ParcelReceiver(
                at: path, decide: { _ in reason.map { .decline($0) } ?? .accept },
                received: { boxes in
                    for box in boxes {
                        if var parcel = box.take() { continuation.yield(parcel.metadata.takePlacement()) }
                    }
                })
            try receiver.start()
        }

        deinit { receiver.stop() }

        /// The number of the next parcel; `nil`: it has none.
        func next() async -> UInt64? {
            for await number in numbers { return number }
            return nil
        }
    }

    @Test("one that a worker declines goes to another, and is counted here until that one tells of it")
    func declined() async throws {
        let scene = try Scene()
        defer { scene.end() }
        let full = try Receiver(at: scene.path("full"), declining: .noRoom)
        let other = try Receiver(at: scene.path("other"))
        scene.use(["full": 0, "other": 5])
        scene.place()
        #expect(await scene.next() == .returned(1))
        #expect(await scene.next() == .waits("no room"))
        #expect(await scene.next() == .handedOver(1))
        let number = await other.next()
        #expect(number == 9)
        #expect(scene.state == State(counted: 1, here: 0, isAwaiting: true))
        // A number that the worker was not given is nobody's.
        scene.arrived(8, at: "other")
        scene.arrived(9, at: "full")
        #expect(scene.state.counted == 1)
        scene.arrived(number, at: "other")
        #expect(scene.state == State(counted: 0, here: 0, isAwaiting: false))
        withExtendedLifetime(full) {}
    }

    @Test("one that waits for a worker goes to the first that there is")
    func nobody() async throws {
        let scene = try Scene()
        defer { scene.end() }
        scene.place()
        #expect(await scene.next() == .waits("no worker is ready"))
        #expect(scene.state == State(counted: 1, here: 1, isAwaiting: false))
        let worker = try Receiver(at: scene.path("worker"))
        scene.use(["worker": 0])
        scene.arrived(await worker.next(), at: "worker")
        #expect(scene.state.counted == 0)
    }

    @Test("one that nobody takes until its patience is over is closed, and is counted no more")
    func givenUp() async throws {
        let scene = try Scene(PlacementLimits(patience: .zero, doubt: .seconds(60)))
        defer { scene.end() }
        scene.place()
        #expect(await scene.next() == .abandoned)
        #expect(scene.state == State(counted: 0, here: 0, isAwaiting: false))
        // Nobody listens there.
        scene.use(["gone": 0])
        scene.place()
        #expect(await scene.next() == .returned(1))
        #expect(await scene.next() == .abandoned)
        #expect(scene.state == State(counted: 0, here: 0, isAwaiting: false))
    }

    @Test("one for a program has no number, is the program's to count, and is counted here again when it comes back")
    func programs() async throws {
        let scene = try Scene()
        defer { scene.end() }
        let target = try #require(Target("worker:\(scene.path("program"))"))
        scene.place(for: target)
        #expect(await scene.next() == .returned(1))
        #expect(await scene.next() == .countedAgain)
        guard case .waits? = await scene.next() else { return #expect(Bool(false), "it is not offered again") }
        let program = try Receiver(at: scene.path("program"))
        #expect(await program.next() == nil)
        while let told = await scene.next(), told != .handedOver(1) {}
        #expect(scene.state == State(counted: 0, here: 0, isAwaiting: false))
    }

    @Test("what a worker that dies has not told of is counted no more")
    func death() async throws {
        let scene = try Scene()
        defer { scene.end() }
        let worker = try Receiver(at: scene.path("worker"))
        scene.use(["worker": 0])
        scene.place()
        let number = await worker.next()
        #expect(await scene.next() == .handedOver(1))
        scene.forget("worker")
        #expect(scene.state == State(counted: 0, here: 0, isAwaiting: false))
        scene.arrived(number, at: "worker")
        #expect(scene.state.counted == 0)
    }

    @Test("what a worker never tells of is counted for a bounded time")
    func doubt() async throws {
        let scene = try Scene(PlacementLimits(patience: .seconds(30), doubt: .milliseconds(10)))
        defer { scene.end() }
        let worker = try Receiver(at: scene.path("worker"))
        scene.use(["worker": 0])
        scene.place()
        let number = await worker.next()
        var told = await scene.next()
        // Which of the two is told first depends on how long the offer takes.
        if told == .handedOver(1) { told = await scene.next() }
        #expect(told == .doubted(1, path: scene.path("worker")))
        scene.arrived(number, at: "worker")
        #expect(scene.state == State(counted: 0, here: scene.state.here, isAwaiting: false))
    }
}
