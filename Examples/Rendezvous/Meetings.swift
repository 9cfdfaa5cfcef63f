import NIOCore

/// The tokens of this process, each with those who have come for it. Used on one event loop alone.
final class Meetings {
    private let eventLoop: any EventLoop
    private let most: Int
    private var exchanges: [String: Exchange] = [:]

    /// - Parameter most: how many tokens may be in use at a time.
    init(_ eventLoop: any EventLoop, most: Int) {
        self.eventLoop = eventLoop
        self.most = most
    }

    /// Where those with this token meet. Who asks joins at once: an exchange that nobody is in does not live.
    func exchange(_ token: String) throws(Refusal) -> Exchange {
        if let exchange = exchanges[token] { return exchange }
        guard exchanges.count < most else { throw .unavailable("too many tokens are in use; try again later") }
        let exchange = Exchange(eventLoop) { [weak self] exchange in
            if self?.exchanges[token] === exchange { self?.exchanges[token] = nil }
        }
        exchanges[token] = exchange
        return exchange
    }
}
