internal import BatonConfiguration

/// What the admin page shows, as JSON. Keys are added, never changed.
struct AdminOverview: Encodable, Sendable {
    var phase: String
    var status: StatusReport
    /// Connections the front has: in their handshake, or being routed.
    var handshaking: Int
    /// Finished handshakes of the server's whole life.
    var handshakes: Int
    var handshakeFailures: Int
    /// The last moves: how many milliseconds ago they ended, and their pause in microseconds.
    var pauses: [[Double]]
    var connections: ConnectionsPage
    var history: History

    private enum CodingKeys: String, CodingKey {
        case phase, status, handshaking, handshakes, pauses, connections, history
        case handshakeFailures = "handshake_failures"
    }

    /// What has been lately.
    struct History: Encodable, Sendable {
        struct Mark: Encodable, Sendable {
            /// Milliseconds.
            var age: UInt64
            var kind: String
            /// The version that has run since.
            var version: String?

            private enum CodingKeys: String, CodingKey {
                case kind, version
                case age = "age_ms"
            }
        }

        /// Samples there have been in all: what whoever asks again knows.
        var count: Int
        /// Names of what the samples have behind their age and their length in milliseconds.
        var columns: [String]
        /// The oldest first.
        var samples: [[Int]]
        /// Whether the samples are all that there are, and not what has come since.
        var isWhole: Bool
        var marks: [Mark]
        /// Upgrades in the service's life.
        var upgrades: Int

        /// - Parameter known: how many samples whoever asks has had.
        init(_ history: BatonServer.History, known: Int) {
            let now = Recorder.now
            func age(_ time: UInt64) -> UInt64 { now > time ? now - time : 0 }
            let samples = history.samples(behind: known)
            count = history.count
            let counted = history.columns.indices.filter { history.counts(history.columns[$0]) }
            columns = counted.map { history.columns[$0].rawValue }
            self.samples = samples.map { sample in
                [Int(clamping: age(sample.at)), Int(clamping: sample.elapsed)] + counted.map { sample.values[$0] }
            }
            isWhole = samples.count == history.samples.count
            marks = history.marks.map { Mark(age: age($0.at), kind: $0.kind.rawValue, version: $0.version) }
            upgrades = history.upgrades
        }

        private enum CodingKeys: String, CodingKey {
            case count, columns, samples, marks, upgrades
            case isWhole = "whole"
        }
    }
}
