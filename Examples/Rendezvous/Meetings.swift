import NIOCore

/// The tokens of this process, each with those who have come for it. Used on one event loop alone.
final class Meetings {
    private static let most = 10_000
    private let eventLoop: any EventLoop
    private var exchanges: [String: Exchange] = [:]

    init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    /// Where those with this token meet.
    func exchange(_ token: String) throws(Refusal) -> Exchange {
        if let exchange = exchanges[token] { return exchange }
        guard exchanges.count < Self.most else { throw .unavailable("too many tokens are in use; try again later") }
        let exchange = Exchange(eventLoop) { [weak self] in self?.exchanges[token] = nil }
        exchanges[token] = exchange
        return exchange
    }
}
