internal import BatonCore
internal import NIOCore

/// Looks through all connections of a worker for those that a selection takes: some at a time, so that neither the event loop
/// nor an engine stands still for ten thousand of them. Used on the worker's loop only.
final class ConnectionScan {
    /// How many are looked at in one turn of a loop.
    private static let part = 128

    /// Tells of these connections: of an engine's, or of those that NIO serves.
    typealias Rows = (_ numbers: [UInt64], _ engine: UInt32?, _ answer: @escaping ([ConnectionRow]) -> Void) -> Void

    private var parts: [(engine: UInt32?, numbers: ArraySlice<UInt64>)]
    private var found: RowSelection
    private let rows: Rows
    private let done: (RowSelection) -> Void

    init(
        of sessions: [UInt64], _ relays: [UInt32: [UInt64]], _ selection: RowSelection, rows: @escaping Rows,
        done: @escaping (RowSelection) -> Void
    ) {
        parts = [(nil, sessions[...])] + relays.map { ($0.key, $0.value[...]) }
        found = selection
        self.rows = rows
        self.done = done
    }

    /// Looks at the next ones. `next` is called later, unless there are no more: then it has been told what was found.
    func step(_ next: @escaping (_ isOver: Bool) -> Void) {
        while let part = parts.last, part.numbers.isEmpty { parts.removeLast() }
        guard let (engine, numbers) = parts.popLast() else {
            done(found)
            return next(true)
        }
        parts.append((engine, numbers.dropFirst(Self.part)))
        rows(Array(numbers.prefix(Self.part)), engine) { [self] rows in
            for row in rows { found.add(row) }
            next(false)
        }
    }
}

/// The scans that a worker has been asked for, one at a time: a page that is open in many windows costs no more than the time that
/// one takes. Used on `loop` only.
final class ConnectionScans: @unchecked Sendable {
    typealias Make = (ListingRequest, ConnectionSelection, _ limit: Int) -> ConnectionScan

    private let loop: any EventLoop
    private let make: Make
    private var waiting: [(request: ListingRequest, selection: ConnectionSelection, limit: Int, until: UInt64)] = []
    private var present: ConnectionScan?

    init(on loop: any EventLoop, _ make: @escaping Make) {
        self.loop = loop
        self.make = make
    }

    func begin(_ request: ListingRequest, _ selection: ConnectionSelection, limit: Int) {
        // Nobody waits longer for the answer.
        let until = MonotonicTime.now + UInt64(Inquiries.limit.nanoseconds)
        waiting.append((request, selection, limit, until))
        if present == nil { beginNext() }
    }

    private func beginNext() {
        present = nil
        while !waiting.isEmpty {
            let (request, selection, limit, until) = waiting.removeFirst()
            guard MonotonicTime.now < until else { continue }
            let scan = make(request, selection, limit)
            present = scan
            return step(scan, until)
        }
    }

    private func step(_ scan: ConnectionScan, _ until: UInt64) {
        guard MonotonicTime.now < until else { return beginNext() }
        scan.step { [self] isOver in
            if isOver { return beginNext() }
            // Whatever else has come is done before.
            let bound = NIOLoopBound(scan, eventLoop: loop)
            loop.execute { self.step(bound.value, until) }
        }
    }
}
