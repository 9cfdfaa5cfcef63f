import Foundation
import Testing

@testable import BatonServer

@Suite("What the server has done lately")
struct HistoryTests {
    private func history(_ samples: Int) -> History {
        var history = History()
        for number in 0...samples {
            history.sample([.connections: number, .handshakes: 10 * number], at: 1_000 + 2_000 * UInt64(number))
        }
        return history
    }

    private func values(_ sample: History.Sample?, _ history: History, _ column: History.Column) -> Int? {
        guard let index = history.columns.firstIndex(of: column) else { return nil }
        return sample?.values[index]
    }

    @Test("a sample has what was counted since the one before, and how many connections there are")
    func samples() {
        var history = history(3)
        #expect(history.samples.count == 3 && history.count == 3)
        #expect(values(history.samples.last, history, .handshakes) == 10)
        #expect(values(history.samples.last, history, .connections) == 3)
        #expect(history.samples.last?.elapsed == 2_000)
        #expect(!history.isDue(at: 8_999) && history.isDue(at: 9_000))
        // A counter that falls, and one that was not there before.
        history.sample([.connections: 0, .handshakes: 2, .moves: 7], at: 9_500)
        #expect(values(history.samples.last, history, .handshakes) == 0)
        #expect(values(history.samples.last, history, .moves) == 0)
        #expect(history.samples.last?.elapsed == 2_500)
    }

    @Test("it holds ten minutes and so many marks, however long the server runs")
    func bounds() {
        var history = history(1_000)
        for number in 0..<100 { history.mark(.upgraded, version: "\(number)", at: UInt64(number)) }
        #expect(history.samples.count == History.capacity && history.count == 1_000)
        #expect(values(history.samples.first, history, .connections) == 701)
        #expect(history.marks.count == History.maxMarks && history.marks.last?.version == "99")
        #expect(history.upgrades == 100)
    }

    @Test(
        "who has had some samples gets those behind, and who has had others gets all",
        arguments: [(0, 300), (699, 300), (700, 300), (990, 10), (1_000, 0), (1_001, 300), (Int.max, 300)])
    func behind(known: Int, count: Int) {
        #expect(history(1_000).samples(behind: known).count == count)
    }

    @Test("the next front goes on with it: samples, marks, and what was counted")
    func inherited() throws {
        var history = history(5)
        history.mark(.upgraded, version: "1", at: 77)
        var next = try JSONDecoder().decode(History.self, from: try JSONEncoder().encode(history))
        #expect(next == history)
        next.sample([.connections: 9, .handshakes: 61], at: 14_000)
        #expect(values(next.samples.last, next, .handshakes) == 11)
        #expect(next.samples.last?.elapsed == 3_000)
    }

    @Test(
        "what another version has left is read as far as it is understood, and never keeps a front from starting",
        arguments: [
            ("{}", 0, 0), ("[]", 0, 0), ("\"x\"", 0, 0),
            (#"{"samples":["1 2000 3","x","", "5"],"columns":["handshakes"]}"#, 1, 0),
            (#"{"samples":7,"marks":[{"at":1,"kind":"new_kind"},{"at":2,"kind":"started"},3]}"#, 0, 1),
            (#"{"samples":["1 2 3 4 5 6"],"columns":["new","connections"],"totals":[1],"count":-4}"#, 1, 0),
        ])
    func other(text: String, samples: Int, marks: Int) throws {
        var history = try JSONDecoder().decode(History.self, from: Data(text.utf8))
        #expect(history.samples.count == samples && history.marks.count == marks)
        #expect(history.count == samples)
        history.sample([.connections: 1], at: 5_000)
        history.sample([.connections: 1], at: 7_000)
        #expect(history.samples.last?.values.count == history.columns.count)
    }
}
