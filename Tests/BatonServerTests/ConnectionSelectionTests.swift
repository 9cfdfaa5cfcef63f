import Foundation
import Testing

@testable import BatonServer

@Suite("Which connections are listed")
struct ConnectionSelectionTests {
    private func row(_ id: UInt64, peer: String? = nil, name: String? = nil, target: String = "echo") -> ConnectionRow {
        ConnectionRow(id: id, peer: peer, listener: "main", serverName: name, moves: 0, target: target)
    }

    private func selection(
        _ filter: String = "", by column: ConnectionSelection.Column? = nil, isDescending: Bool = false
    ) throws -> ConnectionSelection {
        try #require(ConnectionSelection(filter: filter, by: column, isDescending: isDescending))
    }

    @Test(
        "every word of a filter is in one of the names, in whatever case, or is the connection's number",
        arguments: [
            ("", true), ("  ", true), ("example", true), ("EXAMPLE", true), ("Api.Ex app", true),
            ("203.0.113.9:", true),
            ("77", true), ("7", false), ("api nobody", false), ("main", true), ("ü", false), ("app app app", true),
            ("example.com.", false),
        ])
    func filter(filter: String, isTaken: Bool) throws {
        let row = row(77, peer: "203.0.113.9:4431", name: "API.example.com", target: "app")
        #expect(try selection(filter).takes(row) == isTaken)
    }

    @Test("a filter that nobody can mean is none")
    func bounds() {
        #expect(ConnectionSelection(filter: String(repeating: "x", count: 1_025), by: nil, isDescending: false) == nil)
        #expect(ConnectionSelection(filter: "a b c d e f g h i", by: nil, isDescending: false) == nil)
    }

    @Test(
        "numbers in names count as numbers, and connections without a name come last in either order",
        arguments: [false, true])
    func order(isDescending: Bool) throws {
        let names = ["10.0.0.9:80", "10.0.0.10:80", "10.0.0.10:443", "[2001:db8::1]:1"]
        let selection = try selection(by: .peer, isDescending: isDescending)
        var found = RowSelection(selection, 10, worker: 1, nil)
        for (index, name) in (names + [nil]).enumerated().shuffled() { found.add(row(UInt64(index), peer: name)) }
        #expect(found.rows.map(\.peer) == (isDescending ? names.reversed() : names) + [nil])
    }

    @Test("pages of any order have each of ten thousand connections once, and a scan holds a few pages at most")
    func pages() throws {
        let rows = (1...10_000).map { row(UInt64($0), name: $0 % 7 == 0 ? nil : "host-\($0 % 1_000).example") }
        let selection = try selection("echo", by: .serverName, isDescending: true)
        var seen: [UInt64] = []
        var after: ConnectionCursor?
        repeat {
            var found = RowSelection(selection, 500, worker: 3, after)
            for row in rows { found.add(row) }
            #expect(found.matched == 10_000)
            seen += found.rows.map(\.id)
            after = found.hasMore ? found.last : nil
        } while after != nil && seen.count <= 10_000
        #expect(seen.count == 10_000 && Set(seen).count == 10_000)
        #expect(seen.prefix(3).allSatisfy { $0 % 1_000 == 999 } && seen.suffix(1_000).allSatisfy { $0 % 7 == 0 })
    }

    @Test(
        "a place comes back as it was told, whatever a peer has called itself, and nothing else is one",
        arguments: ["", ".", "a.b", "<img>", "\u{0}\n\"", "ünïcode", String(repeating: "x", count: 255)])
    func cursors(name: String) throws {
        let place = ConnectionCursor(worker: 3, connection: 9, key: .text(Array(name.utf8)))
        #expect(ConnectionCursor(place.description) == place)
        #expect(place.description.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == ".") })
        for text in ["1", "1.2.", "1.2.x", "1.2.n", "1.2.n-1", "1.2.t0", "1.2.tzz", "-1.2", "1.2.t00.1", "1.2.té"] {
            #expect(ConnectionCursor(text) == nil, "\(text)")
        }
    }

    @Test("a worker of another version understands a question, and one that says nothing of an order asks for all")
    func messages() throws {
        let old = Data(#"{"id":1,"after":5,"limit":3}"#.utf8)
        #expect(try JSONDecoder().decode(ListingRequest.self, from: old).selection == nil)
        let query = ConnectionQuery(
            selection: try selection("a", by: .age, isDescending: true), limit: 4,
            after: ConnectionCursor(worker: 1, connection: 2, key: .number(3)))
        let request = query.request(9, to: 1)
        let read = try JSONDecoder().decode(ListingRequest.self, from: try JSONEncoder().encode(request))
        #expect(read.selection == query.selection && read.place == query.after && read.limit == 4)
        #expect(ConnectionQuery(limit: 4).request(9, to: 1).selection == nil)
    }
}
