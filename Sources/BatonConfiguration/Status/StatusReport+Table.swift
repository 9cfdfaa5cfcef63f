extension StatusReport {
    /// The report for a terminal: a summary and a table of the workers, without a final line break.
    package var table: String {
        var summary = [
            "baton \(version), pid \(pid)" + (frontPid.map { ", front \($0)" } ?? "") + ", up \(Self.span(uptime))"
                + (program.map { ", \($0)" } ?? ""),
            "\(connections) \(connections == 1 ? "connection" : "connections"); "
                + "moves: \(moves.handoff) handoff, \(moves.migration) migration, \(moves.failed) failed; "
                + "pause: p50 \(pause.p50) µs, p99 \(pause.p99) µs, max \(pause.max) µs",
        ]
        if let refused, refused.values.contains(where: { $0 > 0 }) {
            let reasons = refused.filter { $0.value > 0 }.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            summary.append("refused: " + reasons.map { "\($0.value) \($0.key)" }.joined(separator: ", "))
        }
        if isShort == true { summary.append("connections wait: descriptors or memory are missing, see the log") }
        if let droppedLogLines, droppedLogLines > 0 {
            summary.append("\(droppedLogLines) lines of the log were dropped")
        }
        if let deaths, deaths.front + deaths.workers > 0 {
            summary.append("died: \(deaths.front) fronts, \(deaths.workers) workers")
        }
        if let former {
            summary.append(
                "\(former.connections) more with workers \(former.silentWorkers.map { "\($0)" }.joined(separator: ", ")) of "
                    + "the server before, pid \(former.pid), which do not answer")
        }
        let below = upstreamLines
        guard !workers.isEmpty else { return (summary + ["no workers"] + below).joined(separator: "\n") }
        let rows =
            [["WORKER", "PID", "STATE", "CONNECTIONS", "MOVES IN", "MOVES OUT"]]
            + workers.map {
                [
                    $0.number.map { "\($0)" } ?? "", "\($0.pid)", $0.state ?? "", "\($0.connections)", "\($0.movesIn)",
                    "\($0.movesOut)",
                ]
            }
        return (summary + Self.lines(rows) + below).joined(separator: "\n")
    }

    private static func lines(_ rows: [[String]]) -> [String] {
        let widths = (rows.first ?? []).indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            zip(row, widths).map { text, width in String(repeating: " ", count: width - text.count) + text }
                .joined(separator: "  ")
        }
    }

    private var upstreamLines: [String] {
        guard let upstreams, !upstreams.isEmpty else { return [] }
        let rows =
            [["UPSTREAM", "ADDRESS", "STATE", "WEIGHT", "CONNECTIONS", "OPENED", "FAILED"]]
            + upstreams.map {
                [
                    $0.upstream, $0.address, $0.state.rawValue, "\($0.weight)", "\($0.connections)", "\($0.opened)",
                    "\($0.failed)",
                ]
            }
        let reasons = [""] + upstreams.map { $0.reason ?? "" }
        return [""] + zip(Self.lines(rows), reasons).map { $0 + ($1.isEmpty ? "" : "  " + $1) }
    }

    /// The two largest units: `3d 4h`, `5m 6s`, `7s`.
    private static func span(_ seconds: Int) -> String {
        let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)]
        var rest = max(0, seconds)
        var parts: [String] = []
        for (unit, size) in units {
            let number = rest / size
            rest %= size
            if number > 0 || (unit == "s" && parts.isEmpty) {
                parts.append("\(number)\(unit)")
            } else if !parts.isEmpty {
                break
            }
            if parts.count == 2 { break }
        }
        return parts.joined(separator: " ")
    }
}
