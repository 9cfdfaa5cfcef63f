import Handoff
import Testing

/// Explores every world that can follow a beginning, each once.
struct Exploration {
    var worlds = 0
    var ends = 0
    var twoOwners: ProtocolModel?
    var brokenRule: ProtocolModel?
    var noOwner: ProtocolModel?

    init(from beginning: ProtocolModel) {
        var seen: Set<ProtocolModel> = [beginning]
        var open = [beginning]
        while let world = open.popLast() {
            worlds += 1
            if world.violation != nil { brokenRule = world }
            for parcel in 0..<world.parcels where world.holders(of: parcel) > 1 { twoOwners = world }
            let next = world.successors()
            if next.isEmpty {
                ends += 1
                let mayBeOwnerless = world.hasCrashed || world.hasLost || world.isInDoubt
                for parcel in 0..<world.parcels where world.holders(of: parcel) == 0 && !mayBeOwnerless {
                    noOwner = world
                }
            }
            for world in next where seen.insert(world).inserted { open.append(world) }
        }
    }

    var isSafe: Bool { twoOwners == nil && brokenRule == nil }
}

@Suite("the ownership protocol, in every interleaving")
struct ProtocolExplorationTests {
    typealias Budget = ProtocolModel.Budget

    @Test("without faults, every parcel has exactly one owner in the end")
    func withoutFaults() {
        let exploration = Exploration(from: ProtocolModel(parcels: 2, receivers: 1, budget: Budget()))
        #expect(exploration.isSafe)
        #expect(exploration.noOwner == nil)
        #expect(exploration.ends > 0)
    }

    @Test(
        "a message lost, doubled or overtaken, with either side killed at every step, never makes two owners",
        arguments: [
            Budget(deaths: 2), Budget(deaths: 2, losses: 1), Budget(deaths: 2, doubles: 1),
            Budget(deaths: 2, overtakings: 1), Budget(losses: 2), Budget(doubles: 2), Budget(overtakings: 2),
            Budget(deaths: 1, losses: 1, doubles: 1), Budget(deaths: 1, refusedCancels: 1),
        ])
    func faults(budget: Budget) {
        let exploration = Exploration(from: ProtocolModel(parcels: 2, receivers: 1, budget: budget))
        #expect(exploration.twoOwners == nil)
        #expect(exploration.brokenRule == nil)
        #expect(exploration.noOwner == nil)
        #expect(exploration.worlds > 100)
    }

    @Test("offered to a second receiver after the first, a connection still has one owner, whoever dies")
    func secondReceiver() {
        let budget = Budget(deaths: 2, refusedCancels: 1)
        let exploration = Exploration(from: ProtocolModel(parcels: 1, receivers: 2, budget: budget))
        #expect(exploration.twoOwners == nil)
        #expect(exploration.brokenRule == nil)
        #expect(exploration.noOwner == nil)
    }

    @Test("the exploration finds two owners where there are: a cancel that is lost on its way to the first receiver")
    func lostCancel() {
        let budget = Budget(deaths: 1, losses: 1)
        let exploration = Exploration(from: ProtocolModel(parcels: 1, receivers: 2, budget: budget))
        // Which is why a cancel that cannot be sent closes the connection instead.
        #expect(exploration.twoOwners != nil)
    }
}
