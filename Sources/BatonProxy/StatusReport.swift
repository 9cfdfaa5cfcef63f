/// What `baton status` tells of a running server. Its JSON is an interface: keys are added, never changed.
public struct StatusReport: Codable, Hashable, Sendable {
    /// The process id of the front.
    public var pid: Int32
    /// The version of the running binary.
    public var version: String
    /// Seconds since this process became the front.
    public var uptime: Int
    /// The connections open in all workers.
    public var connections: Int
    /// The workers, in the order of their start.
    public var workers: [Worker]
    /// The moves since the start of the first process in the line of upgrades.
    public var moves: Moves
    /// How long connections stood still when they moved, in microseconds.
    public var pause: Pause
    /// Connections that were closed before a worker had them, by the reason, in the line of upgrades; `nil` from an older
    /// server.
    public var refused: [String: Int]?
    /// Whether connections wait for want of descriptors or memory; `nil` from an older server.
    public var isShort: Bool?
    /// Lines of the log that could not be written, because their reader stood still or there was no room; `nil` from an older
    /// server.
    public var droppedLogLines: Int?
    /// The file of the running binary, with links followed; `nil` from an older server.
    public var program: String?
    /// The server before this one, if it could not hand over everything.
    public var former: Former?

    /// Creates a report.
    public init(
        pid: Int32, version: String, uptime: Int, connections: Int, workers: [Worker], moves: Moves, pause: Pause,
        refused: [String: Int]? = nil, isShort: Bool? = nil,
        droppedLogLines: Int? = nil, program: String? = nil, former: Former? = nil
    ) {
        self.pid = pid
        self.version = version
        self.uptime = uptime
        self.connections = connections
        self.workers = workers
        self.moves = moves
        self.pause = pause
        self.refused = refused
        self.isShort = isShort
        self.droppedLogLines = droppedLogLines
        self.program = program
        self.former = former
    }

    private enum CodingKeys: String, CodingKey {
        case pid
        case program
        case former
        case version
        case uptime = "uptime_s"
        case connections
        case workers
        case moves
        case pause = "pause_us"
        case refused
        case isShort = "short_of_descriptors"
        case droppedLogLines = "dropped_log_lines"
    }
}

extension StatusReport {
    /// One worker process.
    public struct Worker: Codable, Hashable, Sendable {
        /// Its process id.
        public var pid: Int32
        /// Its number, which no other worker in the line of upgrades has; `nil` from an older server.
        public var number: Int?
        /// What it is doing: `starting`, `ready`, `draining` while its connections go to others, or `silent` while it does
        /// not answer; it gets no new connections then.
        public var state: String?
        /// The connections it owns.
        public var connections: Int
        /// The connections it received from other processes.
        public var movesIn: Int
        /// The connections it handed to other processes.
        public var movesOut: Int

        /// Creates a worker's line.
        public init(
            pid: Int32, number: Int? = nil, state: String? = nil, connections: Int, movesIn: Int, movesOut: Int
        ) {
            self.pid = pid
            self.number = number
            self.state = state
            self.connections = connections
            self.movesIn = movesIn
            self.movesOut = movesOut
        }

        private enum CodingKeys: String, CodingKey {
            case pid
            case number
            case state
            case connections
            case movesIn = "moves_in"
            case movesOut = "moves_out"
        }
    }

    /// A server that has been replaced, and has connections in workers that do not answer.
    public struct Former: Codable, Hashable, Sendable {
        /// Its process id.
        public var pid: Int32
        /// The connections that it had when everything else had been handed over.
        public var connections: Int
        /// The process ids of those workers.
        public var silentWorkers: [Int32]

        private enum CodingKeys: String, CodingKey {
            case pid, connections
            case silentWorkers = "silent_workers"
        }
    }

    /// Moves by their kind.
    public struct Moves: Codable, Hashable, Sendable {
        /// Between processes of this machine.
        public var handoff: Int
        /// Between machines.
        public var migration: Int
        /// Moves that failed; the connection went on at its owner, or was closed when in doubt.
        public var failed: Int

        /// Creates the counts.
        public init(handoff: Int = 0, migration: Int = 0, failed: Int = 0) {
            self.handoff = handoff
            self.migration = migration
            self.failed = failed
        }
    }

    /// The distribution of pauses in whole microseconds, rounded up; 0 when nothing has moved.
    public struct Pause: Codable, Hashable, Sendable {
        /// The median.
        public var p50: UInt64
        /// The 99th percentile.
        public var p99: UInt64
        /// The longest.
        public var max: UInt64

        /// Sums a histogram up.
        public init(_ histogram: PauseHistogram) {
            func microseconds(_ nanoseconds: UInt64) -> UInt64 { nanoseconds / 1000 + (nanoseconds % 1000 > 0 ? 1 : 0) }
            p50 = microseconds(histogram.percentile(0.5))
            p99 = microseconds(histogram.percentile(0.99))
            max = microseconds(histogram.max)
        }
    }
}
