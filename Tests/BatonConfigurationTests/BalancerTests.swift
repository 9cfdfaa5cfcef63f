import Testing

@testable import BatonConfiguration

@Suite("The order in which a connection tries addresses")
struct BalancerTests {
    private typealias Candidate = Balancer.Candidate

    private func candidates(_ names: String = "abc", _ change: (inout Candidate) -> Void = { _ in }) -> [Candidate] {
        names.enumerated().map { position, name in
            var candidate = Candidate(name: "\(name)", position: position)
            change(&candidate)
            return candidate
        }
    }

    private func names(_ order: [Int], _ candidates: [Candidate]) -> String {
        order.map { candidates[$0].name }.joined()
    }

    @Test("every policy names every address once, those that are up first", arguments: BalancePolicy.allCases)
    func complete(policy: BalancePolicy) {
        for isDown in ["", "a", "b", "ab", "abc"] {
            var balancer = Balancer(seed: 1)
            let some = candidates { $0.isUp = !isDown.contains($0.name) }
            for key in [nil, 7, 8, 9] as [UInt64?] {
                let order = names(balancer.order(some, by: policy, key: key), some)
                #expect(order.sorted() == ["a", "b", "c"], "\(order)")
                #expect(Set(order.suffix(isDown.count)) == Set(isDown), "\(order) with \(isDown) down")
            }
        }
    }

    @Test("none and one need no choice", arguments: BalancePolicy.allCases)
    func trivial(policy: BalancePolicy) {
        var balancer = Balancer(seed: 1)
        #expect(balancer.order([], by: policy).isEmpty)
        #expect(balancer.order(candidates("a") { $0.isUp = false }, by: policy) == [0])
    }

    @Test("first: as they are written, whatever they weigh and have")
    func first() {
        var balancer = Balancer(seed: 1)
        let some = candidates {
            $0.weight = $0.name == "c" ? 9 : 1
            $0.connections = $0.name == "a" ? 100 : 0
        }
        for _ in 0..<5 { #expect(names(balancer.order(some, by: .first), some) == "abc") }
        let later = candidates { $0.isUp = $0.name != "a" }
        #expect(names(balancer.order(later, by: .first), later) == "bca")
    }

    @Test(
        "round robin: each as often as its weight says, well mixed, from whatever seed",
        arguments: 0..<20 as Range<UInt64>)
    func roundRobin(seed: UInt64) {
        var balancer = Balancer(seed: seed)
        let some = candidates { $0.weight = $0.name == "a" ? 3 : 1 }
        var chosen = ""
        for _ in 0..<50 {
            let order = names(balancer.order(some, by: .roundRobin), some)
            chosen += order.prefix(1)
        }
        let counts = Dictionary(grouping: chosen, by: { $0 }).mapValues(\.count)
        #expect(29...31 ~= counts["a"] ?? 0 && 9...11 ~= counts["b"] ?? 0 && 9...11 ~= counts["c"] ?? 0, "\(chosen)")
        #expect(!chosen.contains("aaaa"), "\(chosen)")
    }

    @Test("round robin begins at another address in each process")
    func starts() {
        let some = candidates()
        let starts = Set(
            (0..<50).map { seed -> Int? in
                var balancer = Balancer(seed: UInt64(seed))
                return balancer.order(some, by: .roundRobin).first
            })
        #expect(starts.count == 3)
    }

    @Test("round robin leaves out what is down, and takes it up again without making up for it")
    func roundRobinDown() {
        var balancer = Balancer(seed: 3)
        let (all, some) = (candidates(), candidates { $0.isUp = $0.name != "b" })
        for _ in 0..<30 { #expect(names(balancer.order(some, by: .roundRobin), some).first != "b") }
        let chosen = (0..<9).compactMap { _ in names(balancer.order(all, by: .roundRobin), all).first }
        #expect(chosen.filter { $0 == "b" }.count <= 4, "\(chosen)")
    }

    @Test("least connections: the one with the fewest for its weight; of equals any")
    func least() {
        var balancer = Balancer(seed: 5)
        let some = candidates { $0.connections = ["a": 4, "b": 2, "c": 9][$0.name] ?? 0 }
        #expect(names(balancer.order(some, by: .leastConnections), some) == "bac")
        let weighed = candidates {
            $0.connections = ["a": 4, "b": 2, "c": 9][$0.name] ?? 0
            $0.weight = $0.name == "c" ? 10 : 1
        }
        #expect(names(balancer.order(weighed, by: .leastConnections), weighed) == "cba")
        let equal = candidates()
        let chosen = Set((0..<50).compactMap { _ in balancer.order(equal, by: .leastConnections).first })
        #expect(chosen == [0, 1, 2])
    }

    @Test("least connections fills evenly what begins unevenly")
    func leastFills() {
        var balancer = Balancer(seed: 6)
        var counts = ["a": 0, "b": 30, "c": 0]
        for _ in 0..<60 {
            let some = candidates { $0.connections = counts[$0.name] ?? 0 }
            let first = balancer.order(some, by: .leastConnections)[0]
            counts[some[first].name, default: 0] += 1
        }
        #expect(counts == ["a": 30, "b": 30, "c": 30])
    }

    @Test("hash: a key stays where it is while another address goes, by weight 0 or because it is down")
    func hash() {
        var balancer = Balancer(seed: 7)
        let names = "abcde"
        var moved = 0
        for key in 0..<1_000 as Range<UInt64> {
            let all = candidates(names)
            let (before, without) = (
                balancer.order(all, by: .hash, key: key &* 0x9E37_79B9_7F4A_7C15), candidates("abde")
            )
            let after = balancer.order(without, by: .hash, key: key &* 0x9E37_79B9_7F4A_7C15)
            let down = candidates(names) { $0.isUp = $0.name != "c" }
            let degraded = balancer.order(down, by: .hash, key: key &* 0x9E37_79B9_7F4A_7C15)
            let (first, next, other) = (all[before[0]].name, without[after[0]].name, down[degraded[0]].name)
            #expect(next == other)
            if first != "c" { #expect(next == first) }
            if first != next { moved += 1 }
        }
        #expect(moved <= 1_000 / 5 + 60, "\(moved)")
    }

    @Test("hash without a key goes by turns")
    func hashWithoutKey() {
        var balancer = Balancer(seed: 8)
        let some = candidates()
        let chosen = Set((0..<3).compactMap { _ in balancer.order(some, by: .hash).first })
        #expect(chosen == [0, 1, 2])
    }

    @Test(
        "a greater SRV priority comes behind all of the smaller one that are up, and before those that are down",
        arguments: BalancePolicy.allCases)
    func ranks(policy: BalancePolicy) {
        var balancer = Balancer(seed: 9)
        let some = candidates("abcd") {
            $0.rank = "cd".contains($0.name) ? 1 : 0
            $0.isUp = $0.name != "b"
            $0.position = -1
        }
        for key in [nil, 3] as [UInt64?] {
            let order = names(balancer.order(some, by: policy, key: key), some)
            #expect(order.hasPrefix("a") && order.hasSuffix("b"), "\(order)")
        }
    }

    @Test("first: SRV records of one priority come by chance, as often as their weight says")
    func services() {
        var balancer = Balancer(seed: 10)
        let some = candidates("ab") {
            $0.position = -1
            $0.weight = $0.name == "a" ? 3 : 1
        }
        let count = (0..<1_000).count { _ in balancer.order(some, by: .first)[0] == 0 }
        #expect(700...800 ~= count, "\(count)")
    }
}
