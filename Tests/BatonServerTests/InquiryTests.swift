import Testing

@testable import BatonServer

@Suite("Questions to the workers")
struct InquiryTests {
    private func row(_ id: UInt64) -> ConnectionRow { ConnectionRow(id: id, moves: 0, target: "echo") }

    private func listing(_ ids: [UInt64], hasMore: Bool = false) -> Listing {
        Listing(id: 1, rows: ids.map(row), hasMore: hasMore, pauses: [])
    }

    private func page(_ listings: [Int: Listing], limit: Int) -> ConnectionsPage {
        var inquiry = Inquiry(of: Set(listings.keys))
        for (number, listing) in listings { inquiry.answered(listing, by: number) }
        return ConnectionsPage(of: inquiry, ConnectionQuery(limit: limit), total: 99, pids: [1: 100, 2: 200])
    }

    @Test("a question is settled when whoever was asked has answered or is gone, and complete if none is gone")
    func completeness() {
        var inquiry = Inquiry(of: [1, 2])
        #expect(!inquiry.isSettled && !inquiry.isComplete)
        inquiry.answered(listing([5]), by: 1)
        inquiry.answered(listing([6]), by: 1)
        inquiry.answered(listing([7]), by: 3)
        #expect(!inquiry.isSettled && inquiry.listings.keys.sorted() == [1] && inquiry.listings[1]?.rows == [row(5)])
        var other = inquiry
        inquiry.answered(listing([]), by: 2)
        #expect(inquiry.isSettled && inquiry.isComplete)
        other.ended(2)
        #expect(other.isSettled && !other.isComplete)
        #expect(Inquiry(of: []).isSettled && Inquiry(of: []).isComplete)
    }

    @Test("a page has the workers' rows in order, each with its worker and process")
    func order() {
        let page = page([2: listing([1]), 1: listing([3, 9])], limit: 10)
        #expect(page.rows.map(\.id) == [3, 9, 1])
        #expect(page.rows.map(\.worker) == [1, 1, 2] && page.rows.map(\.pid) == [100, 100, 200])
        #expect(page.next == nil && page.isComplete && page.total == 99)
    }

    @Test(
        "the next page begins behind the last row, and there is one only if there are more rows",
        arguments: [
            ([1: ([3, 9], true), 2: ([1], false)], 2, "1.9"),
            ([1: ([3, 9], false), 2: ([1], false)], 2, "1.9"),
            ([1: ([3, 9], false), 2: ([], false)], 2, nil),
            ([1: ([3, 9], false), 2: ([], true)], 2, "1.9"),
            ([1: ([3, 9, 10], false)], 2, "1.9"),
            ([1: ([3], false), 2: ([1, 2], false)], 2, "2.1"),
            ([1: ([3], false), 2: ([1], false)], 2, nil),
            ([1: ([3], false), 2: ([1], false), 3: ([4], false)], 2, "2.1"),
            ([:], 2, nil),
        ] as [([Int: ([UInt64], Bool)], Int, String?)])
    func next(listings: [Int: ([UInt64], Bool)], limit: Int, next: String?) {
        let page = page(listings.mapValues { listing($0.0, hasMore: $0.1) }, limit: limit)
        #expect(page.next?.description == next)
        #expect(page.rows.count <= limit)
    }

    private func sender(_ id: UInt64, _ sent: UInt64?) -> ConnectionRow {
        var row = row(id)
        row.sent = sent
        return row
    }

    @Test("of what workers have selected the first of all are the page, and the next one goes on behind it")
    func selected() throws {
        let rows: [Int: [ConnectionRow]] = [
            1: [sender(1, 50), sender(2, 7), sender(3, nil)], 2: [sender(1, 50), sender(2, 99), sender(3, 8)],
        ]
        let selection = try #require(ConnectionSelection(filter: "ech", by: .sent, isDescending: true))
        var query = ConnectionQuery(selection: selection, limit: 2)
        var seen: [String] = []
        while true {
            var inquiry = Inquiry(of: Set(rows.keys))
            for (number, rows) in rows {
                let request = query.request(1, to: number)
                var found = RowSelection(try #require(request.selection), request.limit, worker: number, request.place)
                for row in rows { found.add(row) }
                inquiry.answered(
                    Listing(
                        id: 1, rows: found.rows, hasMore: found.hasMore, pauses: [], matched: found.matched),
                    by: number)
            }
            let page = ConnectionsPage(of: inquiry, query, total: 6, pids: [:])
            #expect(page.matched == 6 && page.isComplete && page.rows.count <= 2)
            seen += page.rows.map { "\($0.worker ?? 0).\($0.id)" }
            guard let next = page.next else { break }
            // It goes by way of the browser.
            query.after = ConnectionCursor(next.description)
            #expect(query.after == next)
            guard query.after == next, seen.count < 10 else { break }
        }
        #expect(seen == ["2.2", "1.1", "2.1", "2.3", "1.2", "1.3"])
    }

    @Test(
        "a worker of a version that selects nothing makes a page incomplete, and shows nothing that was not asked for")
    func older() throws {
        var inquiry = Inquiry(of: [1])
        inquiry.answered(listing([3, 4]), by: 1)
        let query = ConnectionQuery(
            selection: try #require(ConnectionSelection(filter: "4", by: nil, isDescending: false)), limit: 5)
        let page = ConnectionsPage(of: inquiry, query, total: 2, pids: [:])
        #expect(page.rows.map(\.id) == [4] && !page.isComplete)
    }
}
