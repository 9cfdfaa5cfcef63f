/// A process that a front wants to have.
struct StartOrder: Codable, Sendable, Equatable {
    enum Role: Codable, Sendable, Equatable {
        /// It has a link to the keeper of its own, and outlives its front.
        ///
        /// - Parameter directory: where it takes parcels.
        case worker(number: Int, directory: String)
        /// The front of a server that is to replace this one.
        case successor
        /// It ends with its front. What is sent along is its descriptor 3.
        case helper
        /// No process is started: another service, whose connection to the control socket is sent along, is given links.
        ///
        /// - Parameter takeover: what `ControlResponse.granted` tells.
        case elsewhere(takeover: String)
    }

    var role: Role
    /// The program's file; `nil`: that of the front.
    var binary: String?
    /// What it is told that it was started as; `nil`: as the front.
    var name: String?
    var arguments: [String]
}

/// What a front says to the keeper, each one message of a SOCK_SEQPACKET socket with at most one descriptor. Processes of two
/// releases speak so during an upgrade: cases are added, never changed.
enum KeeperRequest: Codable, Sendable, Equatable {
    /// The first message, with the file of the front's program (O_PATH).
    ///
    /// - Parameter readsStates: the versions of `KeeperState` that the program reads.
    /// - Parameter answers: whether it answers `areYouThere`.
    case hello(name: String, arguments: [String], readsStates: [Int], answers: Bool?)
    case start(turn: UInt32, StartOrder)
    /// Sends a signal to a process that was started for this front.
    case signal(process: UInt32, number: Int32)
    /// With a descriptor that a front which takes the place of this one is to have. Those since the last `state` take the
    /// place of all before, in their order.
    case keep
    /// With a file in memory that tells what the kept descriptors are. The keeper does not read it.
    ///
    /// - Parameter isAlone: the kept descriptors stay as they are.
    case state(isAlone: Bool)
    /// The front has got a signal of the service, and will do what is due.
    case heard
    /// The front serves: it is the one that signals are for.
    case serves
    /// The front has been replaced, and ends.
    case leaves
    /// Asks for `done`, when everything before has been done.
    case wait(turn: UInt32)
    /// For the service manager.
    case notify(ServiceNotification)
    /// Has what these workers keep in memory prepared at those of the front that is to replace this one. Asks for `done`.
    case prepare(turn: UInt32, workers: [UInt32])
    /// Has these workers give that up, and those of the front that has replaced this one go on with it. Asks for `done`.
    case handOver(turn: UInt32, workers: [UInt32])
    /// The answer to `areYouThere`.
    case isThere
}

/// What the keeper says to a front, with at most one descriptor.
enum KeeperEvent: Codable, Sendable, Equatable {
    /// With a listening socket of the service manager's, or one that was bound before privileges were given up.
    case activated(name: String)
    /// With the link to the keeper of the privileged process.
    case privileges
    /// With a descriptor that the front before this one has left, in their order.
    case kept
    /// With the file in memory that the front before this one has left.
    case state
    /// With a control link to a worker that has lost its front. It comes at any time.
    case worker(KeptWorker)
    /// Nothing more comes of what is there to begin with.
    case welcome(pid: Int32, isRestored: Bool, ProcessDeaths)
    /// With the control link of the process.
    case started(turn: UInt32, process: UInt32, pid: Int32)
    /// A value of errno.
    case failed(turn: UInt32, code: Int32)
    case done(turn: UInt32)
    /// A process of this front has ended, with this wait status.
    case ended(process: UInt32, status: Int32)
    /// The service has got this signal.
    case signal(Int32)
    case deaths(ProcessDeaths)
    /// The keeper knows `prepare` and `handOver`. It comes before `welcome`.
    case handsOver
    /// The keeper knows `StartOrder.Role.elsewhere`. It comes before `welcome`.
    case handsElsewhere
    /// Asks for `isThere`, from where the front does its work.
    case areYouThere
}

/// A worker that outlives its front.
struct KeptWorker: Codable, Sendable, Equatable {
    /// The keeper's number for it.
    var process: UInt32
    var pid: Int32
    var number: Int
    var socket: String
    /// Whether it is of the same program as the front, and started in its place; else its connections are to go to others.
    var isOwn: Bool

    /// Where a worker takes parcels.
    static func socket(in directory: String, _ number: Int, _ pid: Int32) -> String { "\(directory)/\(number).\(pid)" }
}

/// How many processes have ended otherwise than in order, since the service began.
struct ProcessDeaths: Codable, Sendable, Equatable {
    var front = 0
    var workers = 0
}
