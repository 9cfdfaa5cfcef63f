internal import BatonNIO
internal import Foundation
internal import Handoff
internal import SessionEngine
internal import TLSRecords

extension Worker {
    /// Tells what is here. Only asked for is it put together: ten thousand connections cost nothing while nobody looks.
    func list(_ request: ListingRequest) {
        let limit = max(0, min(request.limit, Listing.maxRows))
        if let selection = request.selection { return scans.begin(request, selection, limit: limit) }
        let numbers = sessions.keys.filter { $0 > request.after }.sorted()
        let count = numbers.count + relays.count(after: request.after)
        let now = Self.wallClock
        relays.list(after: request.after, limit: limit) { [self] relays in
            let some = numbers.prefix(limit).compactMap { sessions[$0] }.map { row($0, now: now) }
            let rows = (some + relays.map { row($0, now: now) }).sorted { $0.id < $1.id }.prefix(limit)
            link?.send(
                .listing(
                    Listing(id: request.id, rows: Array(rows), hasMore: count > limit, pauses: recentPauses.all)))
        }
    }

    /// All connections of this moment, for a scan that looks at some of them at a time.
    func makeScan(_ request: ListingRequest, _ selection: ConnectionSelection, limit: Int) -> ConnectionScan {
        ConnectionScan(
            of: Array(sessions.keys), relays.numbersByEngine,
            RowSelection(selection, limit, worker: number, request.place),
            rows: { [self] numbers, engine, answer in
                let now = Self.wallClock
                guard let engine else { return answer(numbers.compactMap { sessions[$0] }.map { row($0, now: now) }) }
                relays.list(numbers, in: engine) { [self] relays in answer(relays.map { row($0, now: now) }) }
            },
            done: { [self] found in
                link?.send(
                    .listing(
                        Listing(
                            id: request.id, rows: found.rows, hasMore: found.hasMore, pauses: recentPauses.all,
                            matched: found.matched)))
            })
    }

    private func row(_ session: Session, now: UInt64) -> ConnectionRow {
        let handler = try? session.clientHandler()
        return row(
            session.id, RelayNote(handler?.metadata ?? ParcelMetadata(), handler?.info), now: now,
            target: session.target.map { "\($0)" })
    }

    private func row(_ relay: Relays.Listed, now: UInt64) -> ConnectionRow {
        var row = row(relay.number, relay.note, now: now)
        row.received = relay.counts.receivedFromClient
        row.sent = relay.counts.writtenToClient
        return row
    }

    private func row(_ number: UInt64, _ note: RelayNote, now: UInt64, target: String? = nil) -> ConnectionRow {
        let metadata = note.metadata
        return ConnectionRow(
            id: number, connection: metadata.logID, peer: metadata.source.map { "\($0)" }, listener: metadata.listener,
            serverName: note.security?.serverName, protocolName: note.security?.applicationProtocol,
            version: note.security?.version, cipher: note.security?.cipher,
            age: metadata.acceptedAt.map { now >= $0 ? now - $0 : 0 }, acceptedAt: metadata.acceptedAt,
            moves: metadata.moves, target: target ?? metadata.target.map { "\($0)" } ?? "undecided")
    }

    private static var wallClock: UInt64 { UInt64(max(0, Date().timeIntervalSince1970) * 1_000) }
}

extension Listing {
    /// So that the longest names fit a line of the link.
    static let maxRows = 500
}
