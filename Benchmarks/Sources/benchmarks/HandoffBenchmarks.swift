import CRival
import Glibc
import Handoff
import TLSRecords

/// Handing connections to another process, beside a bare round trip of as many descriptors between the same two.
struct HandoffBenchmarks {
    static func all(_ credentials: Credentials) -> [Benchmark] {
        [
            Benchmark("handoff one at a time") {
                let fixture = try HandoffFixture(credentials)
                let measured = try Alternation.measure(
                    { try fixture.handOver(batches: 20, of: 1) / 1_000 },
                    { try fixture.roundTrips(20, of: 1) / 1_000 })
                return [
                    Row(
                        "handoff one at a time", unit: "µs", measured.first,
                        rival: .init(name: "SCM_RIGHTS round trip", spread: measured.second), aim: .timesAsLong(3))
                ]
            },
            Benchmark("handoff one at a time, each confirmed") {
                let fixture = try HandoffFixture(credentials)
                let measured = try Alternation.measure(
                    { try fixture.handOver(batches: 20, of: 1, confirmingEach: true) / 1_000 },
                    { try fixture.roundTrips(20, of: 1) / 1_000 })
                return [
                    Row(
                        "handoff one at a time, each confirmed", unit: "µs", measured.first,
                        rival: .init(name: "SCM_RIGHTS round trip", spread: measured.second))
                ]
            },
            Benchmark("handoff in batches of 100") {
                let fixture = try HandoffFixture(credentials)
                let measured = try Alternation.measure(
                    rounds: 51, { 100 * 1e9 / (try fixture.handOver(batches: 5, of: 100)) },
                    { 100 * 1e9 / (try fixture.roundTrips(5, of: 100)) })
                return [
                    Row(
                        "handoff in batches of 100", unit: "connections/s", isRate: true, measured.first,
                        rival: .init(name: "SCM_RIGHTS round trip", spread: measured.second), aim: .atLeast(50_000))
                ]
            },
        ]
    }
}
