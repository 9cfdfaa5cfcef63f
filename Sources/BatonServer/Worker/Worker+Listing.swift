internal import BatonNIO
internal import Foundation
internal import Handoff
internal import TLSRecords

extension Worker {
    /// Tells what is here. Only asked for is it put together: ten thousand connections cost nothing while nobody looks.
    func list(_ request: ListingRequest) {
        let limit = max(0, min(request.limit, Listing.maxRows))
        let numbers = sessions.keys.filter { $0 > request.after }.sorted()
        let count = numbers.count + relays.count(after: request.after)
        let now = Self.wallClock
        relays.list(after: request.after, limit: limit) { [self] notes in
            let some = numbers.prefix(limit).compactMap { sessions[$0] }.map { row($0, now: now) }
            let rows = (some + notes.map { row($0, $1, now: now) }).sorted { $0.id < $1.id }.prefix(limit)
            link?.send(
                .listing(
                    Listing(id: request.id, rows: Array(rows), hasMore: count > limit, pauses: recentPauses.all)))
        }
    }

    private func row(_ session: Session, now: UInt64) -> ConnectionRow {
        let handler = try? session.clientHandler()
        return row(
            session.id, RelayNote(handler?.metadata ?? ParcelMetadata(), handler?.info), now: now,
            target: session.target.map { "\($0)" })
    }

    private func row(_ number: UInt64, _ note: RelayNote, now: UInt64, target: String? = nil) -> ConnectionRow {
        let metadata = note.metadata
        return ConnectionRow(
            id: number, connection: metadata.logID, peer: metadata.source.map { "\($0)" }, listener: metadata.listener,
            serverName: note.security?.serverName, protocolName: note.security?.applicationProtocol,
            version: note.security?.version, cipher: note.security?.cipher,
            age: metadata.acceptedAt.map { now >= $0 ? now - $0 : 0 }, moves: metadata.moves,
            target: target ?? metadata.target.map { "\($0)" } ?? "undecided")
    }

    private static var wallClock: UInt64 { UInt64(max(0, Date().timeIntervalSince1970) * 1_000) }
}

extension Listing {
    /// So that the longest names fit a line of the link.
    static let maxRows = 500
}
