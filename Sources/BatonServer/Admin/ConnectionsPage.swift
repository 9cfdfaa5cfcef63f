/// Which connections somebody asks for.
struct ConnectionQuery: Sendable {
    var selection = ConnectionSelection()
    /// The most rows.
    var limit: Int
    /// Those behind this place.
    var after: ConnectionCursor?

    /// What a worker is asked.
    func request(_ id: UInt64, to worker: Int) -> ListingRequest {
        guard selection.isPlain else {
            return ListingRequest(id: id, after: 0, limit: limit, selection: selection, place: after)
        }
        let start = after.map { $0.worker == worker ? $0.connection : 0 } ?? 0
        let isBefore = after.map { worker < $0.worker } ?? false
        return ListingRequest(id: id, after: start, limit: isBefore ? 0 : limit)
    }
}

/// Some of the connections in the workers, by worker and then by number if nothing else is asked for.
struct ConnectionsPage: Encodable, Sendable {
    /// Of the whole server.
    var total: Int
    /// How many of them the filter takes; absent without one.
    var matched: Int?
    var rows: [ConnectionRow] = []
    /// Where the next page begins; absent on the last.
    var next: ConnectionCursor?
    /// Whether every worker answered in time.
    var isComplete: Bool

    private enum CodingKeys: String, CodingKey {
        case total, matched, rows, next
        case isComplete = "complete"
    }

    /// The first rows of what workers have answered.
    ///
    /// - Parameters:
    ///   - query: what the workers were asked.
    ///   - pids: the workers' processes, by number.
    init(of inquiry: Inquiry, _ query: ConnectionQuery, total: Int, pids: [Int: Int32]) {
        self.total = total
        isComplete = inquiry.isComplete
        let listings = inquiry.listings.sorted { $0.key < $1.key }
        if query.selection.isPlain {
            take(listings, limit: query.limit, pids)
        } else {
            select(listings, query, pids)
        }
    }

    private mutating func take(_ listings: [(key: Int, value: Listing)], limit: Int, _ pids: [Int: Int32]) {
        for (index, (number, listing)) in listings.enumerated() {
            let taken = listing.rows.prefix(limit - rows.count)
            for var row in taken {
                row.worker = number
                row.pid = pids[number]
                rows.append(row)
            }
            guard rows.count == limit else { continue }
            let hasMore =
                listing.hasMore || taken.count < listing.rows.count
                || listings[(index + 1)...].contains { !$0.value.rows.isEmpty || $0.value.hasMore }
            if hasMore, let last = rows.last {
                next = ConnectionCursor(worker: last.worker ?? number, connection: last.id)
            }
            return
        }
    }

    /// Workers have selected among theirs; the first of all are the page.
    private mutating func select(
        _ listings: [(key: Int, value: Listing)], _ query: ConnectionQuery, _ pids: [Int: Int32]
    ) {
        var selected = RowSelection(query.selection, query.limit, worker: 0, query.after)
        var hasMore = false
        for (number, listing) in listings {
            for var row in listing.rows {
                row.worker = number
                row.pid = pids[number]
                selected.add(row)
            }
            hasMore = hasMore || listing.hasMore
            // A worker of another version has not looked at all.
            if listing.matched == nil { isComplete = false }
        }
        rows = selected.rows
        matched = listings.reduce(0) { $0 + ($1.value.matched ?? 0) }
        if hasMore || selected.hasMore { next = selected.last }
    }
}
