/// The first rows of those that a selection takes, and how many it takes. It holds a few times the limit at most, however many there
/// are.
struct RowSelection {
    private let selection: ConnectionSelection
    private let limit: Int
    private let worker: Int
    private let start: ConnectionCursor?
    private var places: [(place: ConnectionCursor, row: ConnectionRow)] = []
    private var isCut = false
    /// So many stand before this that what stands behind it is not among the first.
    private var end: ConnectionCursor?
    /// How many it takes, before the start, too.
    private(set) var matched = 0

    /// - Parameters:
    ///   - limit: the most rows.
    ///   - worker: whose they are.
    ///   - start: they stand behind this; `nil`: from the first.
    init(_ selection: ConnectionSelection, _ limit: Int, worker: Int, _ start: ConnectionCursor?) {
        self.selection = selection
        self.limit = limit
        self.worker = worker
        self.start = start
    }

    /// A row of the worker's, or of the one that it names.
    mutating func add(_ row: ConnectionRow) {
        guard selection.takes(row) else { return }
        matched += 1
        let place = selection.place(of: row, in: row.worker ?? worker)
        if let start, !selection.precedes(start, place) { return }
        if let end, !selection.precedes(place, end) {
            isCut = true
            return
        }
        places.append((place, row))
        if places.count > 4 * limit + 64 { cut() }
    }

    private mutating func cut() {
        places.sort { selection.precedes($0.place, $1.place) }
        guard places.count > limit else { return }
        places.removeLast(places.count - limit)
        end = places.last?.place
        isCut = true
    }

    /// In their order.
    var rows: [ConnectionRow] { first.map(\.row) }

    /// Where the last of them stands.
    var last: ConnectionCursor? { first.last?.place }

    /// Whether there are more behind the last.
    var hasMore: Bool { isCut || places.count > limit }

    private var first: ArraySlice<(place: ConnectionCursor, row: ConnectionRow)> {
        places.sorted { selection.precedes($0.place, $1.place) }.prefix(limit)
    }
}
