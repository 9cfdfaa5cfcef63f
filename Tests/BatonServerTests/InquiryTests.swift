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
        return ConnectionsPage(of: inquiry, limit: limit, total: 99, pids: [1: 100, 2: 200])
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
}
