import Foundation
import Testing

@testable import BatonConfiguration

@Suite("A pause histogram")
struct PauseHistogramTests {
    @Test("an empty one says 0")
    func empty() {
        let histogram = PauseHistogram()
        #expect(histogram.count == 0 && histogram.max == 0 && histogram.percentile(0.99) == 0)
    }

    @Test("a percentile is never too low, and at most 1/32 too high", arguments: [1.0, 1.3, 7.7])
    func accuracy(factor: Double) {
        var histogram = PauseHistogram()
        let values = (1...2000).map { UInt64(Double($0 * $0) * factor) }
        for value in values { histogram.record(nanoseconds: value) }
        for share in [0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1] {
            let exact = values[max(0, Int((share * 2000).rounded(.up)) - 1)]
            let told = histogram.percentile(share)
            #expect(told >= exact && Double(told) <= Double(exact) * (1 + 1 / 32.0), "\(share): \(told) for \(exact)")
        }
        #expect(histogram.percentile(1) == values.last && histogram.max == values.last)
    }

    @Test("one value is told for every share", arguments: [0, 1, 31, 32, 33, 63, 64, 1_000_000, 1 << 40, UInt64.max])
    func single(value: UInt64) {
        var histogram = PauseHistogram()
        histogram.record(nanoseconds: value)
        for share in [-1, 0, 0.5, 1, 2, Double.nan, .infinity] { #expect(histogram.percentile(share) == value) }
    }

    @Test("two of them added are the one that saw everything")
    func merge() {
        var (a, b, both) = (PauseHistogram(), PauseHistogram(), PauseHistogram())
        for i in 0..<1000 as Range<UInt64> {
            let value = i &* 2_654_435_761 % 5_000_000
            if i.isMultiple(of: 3) { a.record(nanoseconds: value) } else { b.record(nanoseconds: value) }
            both.record(nanoseconds: value)
        }
        a.merge(b)
        #expect(a == both)
    }

    @Test("it travels as JSON and is the same after")
    func codable() throws {
        var histogram = PauseHistogram()
        for value in [0, 5, 1_000, 1_000_000, UInt64.max] { histogram.record(nanoseconds: value) }
        let data = try JSONEncoder().encode(histogram)
        #expect(try JSONDecoder().decode(PauseHistogram.self, from: data) == histogram)
        #expect(data.count < 200)
    }

    @Test(
        "numbers that cannot be are refused",
        arguments: ["[1]", "[1152,1]", "[5,1,5,1]", "[6,1,5,1]", "[-1,1]", "[18446744073709551615,1]"])
    func hostile(buckets: String) {
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(PauseHistogram.self, from: Data(#"{"max":1,"buckets":\#(buckets)}"#.utf8))
        }
    }

    @Test("counters stop at their end")
    func saturation() throws {
        let full = Data(#"{"max":9,"buckets":[1,18446744073709551615,9,18446744073709551615]}"#.utf8)
        var histogram = try JSONDecoder().decode(PauseHistogram.self, from: full)
        histogram.record(nanoseconds: 1)
        histogram.merge(histogram)
        #expect(histogram.count == .max)
        #expect(histogram.percentile(0.5) == 1)
        #expect(histogram.percentile(1) <= 9)
    }
}

@Suite("The status report")
struct StatusReportTests {
    private let report: StatusReport = {
        var histogram = PauseHistogram()
        for value in [1_000, 2_001, 30_000] as [UInt64] { histogram.record(nanoseconds: value) }
        return StatusReport(
            pid: 10, version: "1.0", uptime: 90_061, connections: 7,
            workers: [
                .init(pid: 11, connections: 3, movesIn: 4, movesOut: 5),
                .init(pid: 1_234_567, number: 12, state: "ready", connections: 4, movesIn: 1_000_000, movesOut: 0),
            ],
            moves: .init(handoff: 9, migration: 1, failed: 0), pause: .init(histogram))
    }()

    @Test("has the JSON that the command line promises")
    func json() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let text = String(decoding: try encoder.encode(report), as: UTF8.self)
        #expect(
            text
                == #"{"connections":7,"moves":{"failed":0,"handoff":9,"migration":1},"pause_us":{"max":30,"p50":3,"p99":30},"#
                + #""pid":10,"uptime_s":90061,"version":"1.0","workers":[{"connections":3,"moves_in":4,"moves_out":5,"pid":11},"#
                + #"{"connections":4,"moves_in":1000000,"moves_out":0,"number":12,"pid":1234567,"state":"ready"}]}"#)
        #expect(try JSONDecoder().decode(StatusReport.self, from: Data(text.utf8)) == report)
    }

    @Test("has a table whose columns stand below each other")
    func table() {
        #expect(
            report.table == """
                baton 1.0, pid 10, up 1d 1h
                7 connections; moves: 9 handoff, 1 migration, 0 failed; pause: p50 3 µs, p99 30 µs, max 30 µs
                WORKER      PID  STATE  CONNECTIONS  MOVES IN  MOVES OUT
                             11                   3         4          5
                    12  1234567  ready            4   1000000          0
                """)
    }

    @Test(
        "tells of a server without workers",
        arguments: [(0, "0s"), (59, "59s"), (61, "1m 1s"), (3600, "1h"), (86_400, "1d"), (-5, "0s")])
    func noWorkers(uptime: Int, text: String) {
        var empty = report
        (empty.workers, empty.uptime, empty.connections) = ([], uptime, 1)
        #expect(empty.table.hasPrefix("baton 1.0, pid 10, up \(text)\n1 connection;"))
        #expect(empty.table.hasSuffix("\nno workers"))
    }
}
