internal import BatonNIO
internal import Foundation
internal import Handoff
internal import TLSRecords

extension Worker {
    /// Tells what is here. Only asked for is it put together: ten thousand connections cost nothing while nobody looks.
    func list(_ request: ListingRequest) {
        let limit = max(0, min(request.limit, Listing.mostRows))
        var numbers = sessions.keys.filter { $0 > request.after }
        numbers.sort()
        let now = Self.wallClock
        let rows = limit == 0 ? [] : numbers.prefix(limit).compactMap { sessions[$0] }.map { row($0, now: now) }
        link?.send(
            .listing(
                Listing(id: request.id, rows: rows, hasMore: numbers.count > rows.count, pauses: recentPauses.all)))
    }

    private func row(_ session: Session, now: UInt64) -> ConnectionRow {
        let handler = try? session.clientHandler()
        let metadata = handler?.metadata
        let info = handler?.info
        return ConnectionRow(
            id: session.id, peer: metadata?.source.map { "\($0)" }, listener: metadata?.listener,
            serverName: info?.serverName, protocolName: info?.applicationProtocol,
            version: info.map { "\($0.suite.version)" }, cipher: info.map { "\($0.suite)" },
            age: metadata?.acceptedAt.map { now >= $0 ? now - $0 : 0 }, moves: metadata?.moves ?? 0,
            target: session.target.map { "\($0)" } ?? "undecided")
    }

    private static var wallClock: UInt64 { UInt64(max(0, Date().timeIntervalSince1970) * 1_000) }
}

extension Listing {
    /// So that the longest names fit a line of the link.
    static let mostRows = 500
}
