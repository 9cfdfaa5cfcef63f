/// What `baton status` tells of a running server. Its JSON is an interface: keys are added, never changed.
package struct StatusReport: Codable, Hashable, Sendable {
    /// The process id of the service: that of its keeper, through every upgrade.
    package var pid: Int32
    /// The version of the running binary.
    package var version: String
    /// Seconds since this process became the front.
    package var uptime: Int
    /// The connections open in all workers.
    package var connections: Int
    /// The workers, in the order of their start.
    package var workers: [Worker]
    /// The moves since the start of the first process in the line of upgrades.
    package var moves: Moves
    /// How long connections stood still when they moved, in microseconds.
    package var pause: Pause
    /// Connections that were closed before a worker had them, by the reason, in the line of upgrades; `nil` from an older
    /// server.
    package var refused: [String: Int]?
    /// Whether connections wait for want of descriptors or memory; `nil` from an older server.
    package var isShort: Bool?
    /// Lines of the log that could not be written, because their reader stood still or there was no room; `nil` from an older
    /// server.
    package var droppedLogLines: Int?
    /// The file of the running binary, with links followed; `nil` from an older server.
    package var program: String?
    /// The process id of the front; `nil` from an older server.
    package var frontPid: Int32?
    /// Processes that have ended otherwise than in order since the service began; `nil` from an older server.
    package var deaths: Deaths?
    /// The server before this one, if it could not hand over everything.
    package var former: Former?
    /// The PID namespace in which the process ids mean something, as the kernel numbers it; `nil` from an older server, or
    /// where there is no /proc.
    package var pidNamespace: UInt64?
    /// The addresses of upstreams; `nil` from an older server.
    package var upstreams: [UpstreamAddress]?

    /// Creates a report.
    package init(
        pid: Int32, version: String, uptime: Int, connections: Int, workers: [Worker], moves: Moves, pause: Pause,
        refused: [String: Int]? = nil, isShort: Bool? = nil,
        droppedLogLines: Int? = nil, program: String? = nil, frontPid: Int32? = nil, deaths: Deaths? = nil,
        former: Former? = nil, pidNamespace: UInt64? = nil, upstreams: [UpstreamAddress]? = nil
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
        self.frontPid = frontPid
        self.deaths = deaths
        self.former = former
        self.pidNamespace = pidNamespace
        self.upstreams = upstreams
    }

    private enum CodingKeys: String, CodingKey {
        case pid
        case program
        case former
        case pidNamespace = "pid_namespace"
        case upstreams
        case frontPid = "front_pid"
        case deaths
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
    package struct Worker: Codable, Hashable, Sendable {
        /// Its process id.
        package var pid: Int32
        /// Its number, which no other worker in the line of upgrades has; `nil` from an older server.
        package var number: Int?
        /// What it is doing: `starting`, `ready`, `retiring` while its connections go to others, or `silent` while it does
        /// not answer; it gets no new connections then.
        package var state: String?
        /// The connections it owns.
        package var connections: Int
        /// The connections it received from other processes.
        package var movesIn: Int
        /// The connections it handed to other processes.
        package var movesOut: Int

        /// Creates a worker's line.
        package init(
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

    /// Processes that have been killed or have crashed, by their kind. Others have taken their places.
    package struct Deaths: Codable, Hashable, Sendable {
        /// Fronts.
        package var front: Int
        /// Workers.
        package var workers: Int

        /// Creates the counts.
        package init(front: Int, workers: Int) {
            self.front = front
            self.workers = workers
        }
    }

    /// One address of an upstream.
    package struct UpstreamAddress: Codable, Hashable, Sendable {
        /// What it is doing.
        package enum State: String, Codable, Hashable, Sendable {
            /// It gets new connections.
            case up
            /// It gets some, and has come back a moment ago.
            case starting
            /// Its checks say that it cannot be used.
            case down
            /// Connections to it have failed, and it is left out for a while.
            case ejected
            /// Its weight is 0, or it is in no upstream any more: it keeps what it has.
            case draining
            /// It is a name that has not been resolved.
            case unresolved
        }

        /// The upstream's name.
        package var upstream: String
        /// The address, or a name that has not been resolved.
        package var address: String
        /// What it was found by, if that is a name.
        package var name: String?
        package var state: State
        package var weight: Int
        /// Those that are being opened included.
        package var connections: Int
        /// Connections that were opened, in the line of upgrades.
        package var opened: Int
        /// Connections that could not be.
        package var failed: Int
        /// The last check: `ok`, or why not; `nil`: there was none.
        package var lastCheck: String?
        /// Checks that failed, since the front began.
        package var checkFailures: Int?
        /// Why it gets no new connections.
        package var reason: String?

        /// Creates a line.
        package init(
            upstream: String, address: String, name: String? = nil, state: State, weight: Int, connections: Int,
            opened: Int, failed: Int, lastCheck: String? = nil, checkFailures: Int? = nil, reason: String? = nil
        ) {
            self.upstream = upstream
            self.address = address
            self.name = name
            self.state = state
            self.weight = weight
            self.connections = connections
            self.opened = opened
            self.failed = failed
            self.lastCheck = lastCheck
            self.checkFailures = checkFailures
            self.reason = reason
        }

        /// Whether nothing stands against new connections.
        package var isUp: Bool { state == .up || state == .starting || state == .draining }

        private enum CodingKeys: String, CodingKey {
            case upstream, address, name, state, weight, connections, opened, failed, reason
            case lastCheck = "last_check"
            case checkFailures = "check_failures"
        }
    }

    /// A server that has been replaced, and has connections in workers that do not answer.
    package struct Former: Codable, Hashable, Sendable {
        /// Its process id.
        package var pid: Int32
        /// The connections that it had when everything else had been handed over.
        package var connections: Int
        /// The process ids of those workers.
        package var silentWorkers: [Int32]

        /// Creates its line.
        package init(pid: Int32, connections: Int, silentWorkers: [Int32]) {
            self.pid = pid
            self.connections = connections
            self.silentWorkers = silentWorkers
        }

        private enum CodingKeys: String, CodingKey {
            case pid, connections
            case silentWorkers = "silent_workers"
        }
    }

    /// Moves by their kind.
    package struct Moves: Codable, Hashable, Sendable {
        /// Between processes of this machine.
        package var handoff: Int
        /// Between machines.
        package var migration: Int
        /// Moves that failed; the connection went on at its owner, or was closed when in doubt.
        package var failed: Int

        /// Creates the counts.
        package init(handoff: Int = 0, migration: Int = 0, failed: Int = 0) {
            self.handoff = handoff
            self.migration = migration
            self.failed = failed
        }
    }

    /// The distribution of pauses in whole microseconds, rounded up; 0 when nothing has moved.
    package struct Pause: Codable, Hashable, Sendable {
        /// The median.
        package var p50: UInt64
        /// The 99th percentile.
        package var p99: UInt64
        /// The longest.
        package var max: UInt64

        /// Sums a histogram up.
        package init(_ histogram: PauseHistogram) {
            func microseconds(_ nanoseconds: UInt64) -> UInt64 { nanoseconds / 1000 + (nanoseconds % 1000 > 0 ? 1 : 0) }
            p50 = microseconds(histogram.percentile(0.5))
            p99 = microseconds(histogram.percentile(0.99))
            max = microseconds(histogram.max)
        }
    }
}
