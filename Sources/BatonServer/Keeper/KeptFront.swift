internal import Libc

/// One program in the line of upgrades, with what a front of it needs that takes the place of one that has died.
final class ServerLine {
    /// From 1.
    let number: Int
    var program: Program
    /// The versions of `KeeperState` that the program reads.
    var readsStates: [Int] = []
    private(set) var kept: [CInt] = []
    /// Those that have come since the last `state`.
    private(set) var gathered: [CInt] = []
    private(set) var state: CInt?

    init(_ number: Int, _ program: Program) {
        self.number = number
        self.program = program
    }

    init(_ number: Int, _ program: Program, readsStates: [Int], kept: [CInt], gathered: [CInt], state: CInt?) {
        self.number = number
        self.program = program
        self.readsStates = readsStates
        self.kept = kept
        self.gathered = gathered
        self.state = state
    }

    deinit {
        clear()
        if program.file >= 0 { close(program.file) }
    }

    func keep(_ descriptor: CInt) { gathered.append(descriptor) }

    func use(_ state: CInt, isAlone: Bool) {
        if let former = self.state { close(former) }
        self.state = state
        guard !isAlone else { return }
        for descriptor in kept { close(descriptor) }
        kept = gathered
        gathered = []
    }

    /// What a front has gathered that has died over it.
    func dropGathered() {
        for descriptor in gathered { close(descriptor) }
        gathered = []
    }

    /// No front of this line will be started any more.
    func clear() {
        dropGathered()
        for descriptor in kept { close(descriptor) }
        kept = []
        if let state { close(state) }
        state = nil
    }
}

/// A front process, as the keeper sees it.
final class KeptFront {
    enum Role {
        /// The first of the service, which has not served yet.
        case first
        /// Takes the place of one that has died, and has not served yet.
        case restored
        /// Is to replace the one that serves.
        case successor
        case serving
        /// Another has replaced it.
        case former
    }

    /// Among the keeper's processes.
    let process: UInt32
    let pid: pid_t
    let channel: KeeperChannel
    let line: ServerLine
    var role: Role
    /// Signals that it has been told of, and has not said that it has heard: another front is to hear them if it dies.
    private(set) var unheard: [CInt] = []
    /// Whether it has been replaced, and ends.
    var leaves = false
    /// Since when it has served, on the monotonic clock in nanoseconds.
    var servesSince: UInt64?
    /// Whether it has been killed, and counts no more.
    var isDoomed = false
    /// Whether it answers when it is asked whether it is there.
    var answers = false

    init(process: UInt32, pid: pid_t, channel: KeeperChannel, line: ServerLine, role: Role) {
        self.process = process
        self.pid = pid
        self.channel = channel
        self.line = line
        self.role = role
    }

    func tell(_ signal: CInt) {
        unheard.append(signal)
        channel.send(KeeperEvent.signal(signal))
    }

    func hasHeard() {
        if !unheard.isEmpty { unheard.removeFirst() }
    }
}
