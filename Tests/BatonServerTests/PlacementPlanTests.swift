import BatonConfiguration
import BatonCore
import Testing

@testable import BatonServer

@Suite("Where parcels are offered, when again, and what is awaited")
struct PlacementPlanTests {
    private static let second: UInt64 = 1_000_000_000
    private let source = IPAddress("192.0.2.1")!

    private func order(from source: IPAddress? = nil, since: UInt64 = 0, avoiding path: String? = nil) -> PlacementOrder
    {
        PlacementOrder(source: source, since: since, avoided: path)
    }

    private func workers(_ connections: KeyValuePairs<String, Int>) -> PlacementPlan.Receivers {
        .leastLoaded(connections.map { .init(path: $0.key, connections: $0.value) })
    }

    // MARK: Who is next

    struct Choice: Sendable {
        let receivers: @Sendable () -> PlacementPlan.Receivers
        let avoided: String?
        let expected: [String?]
    }

    static let choices: [Choice] = [
        .init(receivers: { .only("/p") }, avoided: nil, expected: ["/p", "/p"]),
        // There is no other: its program may be there by then.
        .init(receivers: { .only("/p") }, avoided: "/p", expected: ["/p", "/p"]),
        .init(receivers: { .inTurn([]) }, avoided: nil, expected: [nil, nil]),
        .init(receivers: { .inTurn(["/a"]) }, avoided: "/a", expected: ["/a", "/a"]),
        .init(receivers: { .inTurn(["/a", "/b", "/c"]) }, avoided: nil, expected: ["/b", "/c", "/a", "/b"]),
        .init(receivers: { .inTurn(["/a", "/b", "/c"]) }, avoided: "/b", expected: ["/c", "/a", "/c", "/a"]),
        .init(receivers: { .leastLoaded([]) }, avoided: nil, expected: [nil, nil]),
        // What has been given and not told of is load.
        .init(
            receivers: { .leastLoaded([.init(path: "/a", connections: 2), .init(path: "/b", connections: 0)]) },
            avoided: nil, expected: ["/b", "/b", "/a", "/b", "/a"]),
        .init(
            receivers: { .leastLoaded([.init(path: "/a", connections: 9), .init(path: "/b", connections: 0)]) },
            avoided: "/b", expected: ["/a", "/a"]),
        .init(
            receivers: { .leastLoaded([.init(path: "/b", connections: 0)]) },
            avoided: "/b", expected: ["/b", "/b"]),
    ]

    @Test(
        "receivers are taken in turn or by load, and the one it has come back from only if there is no other",
        arguments: choices)
    func choosing(_ choice: Choice) {
        var plan = PlacementPlan(.newcomers)
        for expected in choice.expected {
            #expect(plan.offer(order(avoiding: choice.avoided), to: choice.receivers(), at: 0)?.path == expected)
        }
    }

    @Test("only a receiver that tells of what has arrived gets a number with it, each once and after the first given")
    func numbers() {
        var plan = PlacementPlan(.newcomers, numberedAfter: 41)
        #expect(plan.offer(order(), to: .only("/p"), at: 0)?.number == nil)
        #expect(plan.offer(order(), to: .inTurn(["/a"]), at: 0)?.number == nil)
        #expect(!plan.isAwaiting)
        #expect(plan.offer(order(), to: workers(["/a": 0]), at: 0)?.number == 42)
        #expect(plan.offer(order(), to: workers(["/b": 0]), at: 0)?.number == 43)
        #expect(plan.isAwaiting && plan.awaitedCount(at: "/a") == 1 && plan.awaitedCount(at: "/b") == 1)
    }

    // MARK: What comes back

    @Test(
        "a parcel is offered again after the delay until patience is over, counted from when it was to be placed",
        arguments: [
            (since: 0, now: 0, isGivenUp: false), (since: 0, now: 29_999_999_999, isGivenUp: false),
            (since: 0, now: 30_000_000_000, isGivenUp: true), (since: 0, now: UInt64.max, isGivenUp: true),
            (since: 5_000_000_000, now: 34_999_999_999, isGivenUp: false),
            (since: 5_000_000_000, now: 35_000_000_000, isGivenUp: true),
            // A stamp that another process has made may be anything.
            (since: UInt64.max, now: 35_000_000_000, isGivenUp: false),
        ])
    func patience(since: UInt64, now: UInt64, isGivenUp: Bool) {
        var plan = PlacementPlan(.newcomers)
        plan.begin()
        #expect(plan.retry(order(since: since), at: now) == (isGivenUp ? .givenUp : .after(.milliseconds(50))))
        #expect(plan.count == (isGivenUp ? 0 : 1))
    }

    @Test("connections between hosts are offered for five seconds")
    func migrants() {
        var plan = PlacementPlan(.migrants)
        plan.begin()
        #expect(plan.retry(order(since: 1), at: 5 * Self.second) == .after(.milliseconds(50)))
        #expect(plan.retry(order(since: 1), at: 5 * Self.second + 1) == .givenUp)
    }

    @Test(
        "a parcel is counted until it is handed over, lost or given up, however often it comes back")
    func counting() {
        var plan = PlacementPlan(.newcomers)
        for _ in 0..<4 { plan.begin() }
        #expect(plan.count == 4)
        for turn in UInt64(0)..<3 {
            _ = plan.offer(order(), to: .only("/p"), at: turn)
            #expect(plan.retry(order(), at: turn) == .after(.milliseconds(50)) && plan.count == 4)
        }
        plan.settle(3)
        #expect(plan.count == 1)
        #expect(plan.retry(order(), at: 60 * Self.second) == .givenUp && plan.count == 0)
    }

    // MARK: What is awaited

    @Test("a connection of which its worker never tells is counted for a bounded time, and released once")
    func doubt() {
        var plan = PlacementPlan(.newcomers)
        var limits = ConnectionLimits(total: 2, perSource: 2)
        let doubt = PlacementLimits.newcomers.doubt.nanoseconds
        for moment in UInt64(1)...2 {
            #expect(throws: Never.self) { try limits.admit(from: source) }
            let offer = plan.offer(order(from: source), to: workers(["/a": 0]), at: moment)
            // One look is enough for all that is awaited of a receiver.
            #expect(offer?.looksAfter == (moment == 1 ? .seconds(60) : nil))
        }
        #expect(throws: ConnectionLimits.Refusal.total) { try limits.admit(from: source) }
        #expect(plan.removeOverdue(at: "/a", at: doubt) == .init(sources: [], looksAfter: .seconds(60)))
        let overdue = plan.removeOverdue(at: "/a", at: doubt + 1)
        #expect(overdue == .init(sources: [source], looksAfter: .seconds(60)))
        for source in overdue.sources { limits.release(from: source) }
        #expect(plan.awaitedCount(at: "/a") == 1 && limits.count == 1)
        #expect(throws: Never.self) { try limits.admit(from: source) }
        // Its worker has it after all, and counts it by itself.
        #expect(plan.remove(1, at: "/a") == nil)
        #expect(plan.remove(2, at: "/a") == .some(.some(source)))
        #expect(!plan.isAwaiting)
        // Nothing is left: nobody looks any more, until there is something again.
        #expect(plan.removeOverdue(at: "/a", at: 2 * doubt) == .init(sources: [], looksAfter: nil))
        #expect(plan.offer(order(), to: workers(["/a": 0]), at: 2 * doubt)?.looksAfter == .seconds(60))
    }

    @Test("one without a source is found again as such, at the receiver that it was given to, and once")
    func sources() {
        var plan = PlacementPlan(.newcomers)
        _ = plan.offer(order(), to: workers(["/a": 0]), at: 0)
        #expect(plan.remove(1, at: "/b") == nil && plan.remove(2, at: "/a") == nil)
        #expect(plan.remove(1, at: "/a") == .some(nil))
        #expect(plan.remove(1, at: "/a") == nil)
    }

    @Test("all that a receiver has not told of when it dies are told, and nothing of others")
    func death() {
        var plan = PlacementPlan(.newcomers)
        _ = plan.offer(order(), to: workers(["/a": 0]), at: 0)
        _ = plan.offer(order(from: source), to: workers(["/a": 0]), at: 5)
        _ = plan.offer(order(from: source), to: workers(["/b": 0]), at: 5)
        #expect(Set(plan.removeAll(at: "/a")) == [nil, source] && plan.awaitedCount(at: "/a") == 0)
        #expect(plan.removeAll(at: "/a").isEmpty && plan.awaitedCount(at: "/b") == 1)
    }
}

struct RoundRobinTests {
    @Test("each is next in turn, whatever the others are meanwhile, and nobody where there is none")
    func turns() {
        var turn = RoundRobin()
        #expect(turn.next(of: [Int]()) == nil)
        #expect((0..<4).map { _ in turn.next(of: [1, 2, 3]) } == [2, 3, 1, 2])
        #expect(turn.next(of: [7]) == 7)
        #expect(turn.next(of: [8, 9]) == 9)
    }
}
