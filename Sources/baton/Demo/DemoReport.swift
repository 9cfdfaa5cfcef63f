import Foundation

/// The demo's result, as `--json` prints it.
struct DemoReport: Encodable {
    /// What the peer could feel, in microseconds: from the last byte under one owner to the first under the next.
    struct Pause: Encodable {
        var p50: Double
        var p99: Double
        var max: Double

        init(nanoseconds: [UInt64]) {
            let sorted = nanoseconds.sorted()
            func at(_ share: Double) -> Double {
                sorted.isEmpty ? 0 : (Double(sorted[Int(Double(sorted.count - 1) * share)]) / 100).rounded() / 10
            }
            p50 = at(0.5)
            p99 = at(0.99)
            max = at(1)
        }
    }

    var moves: Int
    var owners: Int
    var bytesUp: Int
    var bytesDown: Int
    var digestMatch: Bool
    var peer: String
    var tls: String
    var cipher: String
    var pauseMicroseconds: Pause
    var errors: Int
    /// What went wrong, for the table; not in the JSON document.
    var failures: [String]
    var seconds: Double

    enum CodingKeys: String, CodingKey {
        case moves, owners, peer, tls, cipher, errors
        case bytesUp = "bytes_up"
        case bytesDown = "bytes_down"
        case digestMatch = "digest_match"
        case pauseMicroseconds = "pause_us"
    }

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    func table() -> String {
        let rate = seconds > 0 ? Double(bytesUp + bytesDown) / seconds / 1_048_576 : 0
        var rows = [
            ("peer", peer), ("connection", "TLS \(tls), \(cipher), one TCP connection, one handshake"),
            ("moves", "\(moves), among \(owners) processes"),
            ("bytes", "\(bytesUp) up, \(bytesDown) down, \(String(format: "%.0f", rate)) MiB/s"),
            ("digests", digestMatch ? "equal, both ways" : "DIFFERENT"),
            (
                "pause",
                "\(pauseMicroseconds.p50) µs median, \(pauseMicroseconds.p99) µs p99, \(pauseMicroseconds.max) µs max"
            ),
            ("errors", "\(errors)"),
        ]
        rows += failures.map { ("", $0) }
        return rows.map { $0.0.padding(toLength: 12, withPad: " ", startingAt: 0) + $0.1 }.joined(separator: "\n")
    }
}
