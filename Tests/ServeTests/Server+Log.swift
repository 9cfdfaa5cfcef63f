import StockPeers

extension Server {
    /// The process that was started last to replace it.
    func successorID() throws -> Int32 {
        let line = logged.split(whereSeparator: \.isNewline).last { $0.contains("a new server starts") }
        let word = line?.split(separator: " ").first { $0.hasPrefix("pid=") }
        guard let id = word.flatMap({ Int32($0.dropFirst(4)) }), id > 1 else { throw WireError("no pid in: \(logged)") }
        return id
    }

    /// The port of one of several listeners.
    func port(_ listener: String) throws -> Int {
        let words = logged.split(whereSeparator: \.isNewline).last {
            $0.contains("listener=\(listener) ") || $0.hasSuffix("listener=\(listener)")
        }
        let digits = words?.split(separator: "address=127.0.0.1:").last?.prefix { $0.isNumber }
        guard let port = digits.flatMap({ Int($0) }) else { throw WireError("\(listener) does not listen: \(logged)") }
        return port
    }
}
