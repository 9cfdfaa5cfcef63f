import Glibc

/// What the TCP of a network namespace has counted since it was made.
package struct TCPCounters: Sendable, Equatable {
    /// Retransmission timers that fired.
    package var timeouts = 0
    /// Connections that were reset, and resets sent.
    package var resets = 0

    /// Segments that were dropped because their timestamps were older than one before (PAWS).
    package var outdated = 0

    /// Nothing counted.
    package init(timeouts: Int = 0, resets: Int = 0, outdated: Int = 0) {
        self.timeouts = timeouts
        self.resets = resets
        self.outdated = outdated
    }

    /// Reads the counters of the calling thread's namespace.
    package static func read() throws -> TCPCounters {
        let extended = try table("/proc/thread-self/net/netstat", "TcpExt:")
        let basic = try table("/proc/thread-self/net/snmp", "Tcp:")
        return TCPCounters(
            timeouts: extended["TCPTimeouts"] ?? 0, resets: (basic["EstabResets"] ?? 0) + (basic["OutRsts"] ?? 0),
            outdated: extended["PAWSEstab"] ?? 0)
    }

    package static func - (left: TCPCounters, right: TCPCounters) -> TCPCounters {
        TCPCounters(
            timeouts: left.timeouts - right.timeouts, resets: left.resets - right.resets,
            outdated: left.outdated - right.outdated)
    }

    private static func table(_ path: String, _ name: String) throws -> [String: Int] {
        guard let file = fopen(path, "r") else { throw LabError(path) }
        defer { fclose(file) }
        var rows: [[Substring]] = []
        var line: UnsafeMutablePointer<CChar>?
        var size = 0
        defer { free(line) }
        var lines: [String] = []
        while getline(&line, &size, file) > 0, let line { lines.append(String(cString: line)) }
        for text in lines where text.hasPrefix(name + " ") {
            rows.append(text.split(whereSeparator: \.isWhitespace))
        }
        guard rows.count == 2 else { throw LabError("\(path): \(name)") }
        return Dictionary(
            zip(rows[0].dropFirst().map(String.init), rows[1].dropFirst().map { Int($0) ?? 0 })
        ) { first, _ in first }
    }
}
