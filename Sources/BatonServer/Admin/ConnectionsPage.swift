/// Some of the connections in the workers, by worker and then by number.
struct ConnectionsPage: Encodable, Sendable {
    var total: Int
    var rows: [ConnectionRow] = []
    /// Where the next page begins; absent on the last.
    var next: ConnectionCursor?
    /// Whether every worker answered in time.
    var isComplete: Bool

    private enum CodingKeys: String, CodingKey {
        case total, rows, next
        case isComplete = "complete"
    }

    /// The first rows of what workers have answered.
    ///
    /// - Parameters:
    ///   - limit: the most rows. Every worker was asked for so many.
    ///   - pids: the workers' processes, by number.
    init(of inquiry: Inquiry, limit: Int, total: Int, pids: [Int: Int32]) {
        self.total = total
        isComplete = inquiry.isComplete
        let listings = inquiry.listings.sorted { $0.key < $1.key }
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
}

/// A place in the list of connections: behind the connection with this number in this worker.
struct ConnectionCursor: Sendable, Hashable {
    var worker: Int
    var connection: UInt64

    init(worker: Int, connection: UInt64) {
        self.worker = worker
        self.connection = connection
    }

    /// Reads what `description` wrote.
    init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let worker = Int(parts[0]), let connection = UInt64(parts[1]), worker >= 0 else {
            return nil
        }
        self.init(worker: worker, connection: connection)
    }
}

extension ConnectionCursor: CustomStringConvertible, Encodable {
    var description: String { "\(worker).\(connection)" }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
