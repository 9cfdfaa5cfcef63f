import Glibc
import SampleArena
import SessionEngine
import TLSRecords

/// Sessions between ends of the test's own, in an arena whose owners are processes that the test kills. The test stands for
/// the keeper: it has the arena and a duplicate of each socket.
final class Crowd {
    private let memory: CInt
    let ends: [StreamEnd.Box]
    /// For each end the one that sends what it receives.
    private let senders: [Int]
    private let sockets: [(slot: Int, client: CInt, upstream: CInt)]
    private var owner: (pid: pid_t, channel: CInt)?
    private(set) var deaths = 0

    /// - Parameters:
    ///   - kinds: for each relay, the suites of its client's and its upstream's leg; `nil`: plain.
    ///   - echoes: for each echo, which are behind the relays, that of its leg.
    ///   - pages: the same for pages, which are behind the echoes.
    ///   - total: bytes in each direction of a session; `nil`: as many as it comes to until the last death.
    ///   - extentCount: `nil`: as many as the sessions may want at once.
    ///   - unix: the legs of each session that are on Unix sockets.
    init(
        _ kinds: [(client: CipherSuite?, upstream: CipherSuite?)], echoes: [CipherSuite?] = [],
        pages: [CipherSuite?] = [],
        total: (_ session: Int) -> UInt64? = { _ in nil },
        extentCount: Int? = nil, unix: (_ session: Int) -> UnixLegs = { _ in [] }
    ) throws {
        let count = kinds.count + echoes.count + pages.count
        memory = try Arena.make(slotCount: count, extentCount: extentCount ?? 8 * count)
        var engine = try Engine(taking: Arena(mapping: memory), as: 1, respond: SamplePage.respond)
        var ends: [StreamEnd.Box] = []
        var senders: [Int] = []
        var sockets: [(slot: Int, client: CInt, upstream: CInt)] = []
        for number in 0..<count {
            let (seed, bytes) = (UInt64(2 * number + 1), total(number) ?? .max)
            let isUnix = unix(number).contains(.client)
            let session =
                switch number - kinds.count {
                case ..<0:
                    try TestSession(
                        client: kinds[number].client, upstream: kinds[number].upstream, seed: seed, total: bytes,
                        unix: unix(number))
                case let echo where echo < echoes.count:
                    try TestSession(echo: echoes[echo], seed: seed, total: bytes, isUnix: isUnix)
                case let other: try TestSession(page: pages[other - echoes.count], total: bytes, isUnix: isUnix)
                }
            let slot = try session.begin(in: &engine, number: UInt64(number))
            sockets.append((slot, session.client, session.upstream))
            senders += session.ends.indices.reversed().map { ends.count + $0 }
            ends += session.ends
        }
        self.ends = ends
        self.senders = senders
        self.sockets = sockets
    }

    deinit {
        if let owner { end(owner) }
        for socket in sockets {
            close(socket.client)
            close(socket.upstream)
        }
        close(memory)
    }

    /// Works on the ends until all are done, and meanwhile kills owners.
    ///
    /// - Parameters:
    ///   - life: how long each owner lives, in microseconds.
    ///   - afterDeath: is called with the number of deaths.
    /// - Returns: what went wrong.
    func run(
        kills: Int, life: ClosedRange<Int32> = 0...0, limit: Duration, afterDeath: (Int) -> Void = { _ in }
    ) throws -> [String] {
        let clock = ContinuousClock()
        let deadline = clock.now + limit
        var random = SystemRandomNumberGenerator()
        try start()
        var death = clock.now + .microseconds(Int32.random(in: life, using: &random))
        while ends.contains(where: { !$0.end.isDone }) {
            guard clock.now < deadline else { return ["not done in \(limit) after \(deaths) deaths"] + faults }
            if deaths < kills, clock.now >= death {
                try kill()
                afterDeath(deaths)
                death = clock.now + .microseconds(Int32.random(in: life, using: &random))
                if deaths == kills { finish() }
            }
            step(milliseconds: deaths < kills ? 1 : 100)
            if ends.contains(where: { $0.end.fault != nil }) { return faults }
            // It ends by itself when it has no session left; what it has written may still be under way then.
            if let status = ownerStatus(), status != 0 { return ["the owner ended: \(status)"] + faults }
        }
        return faults
    }

    /// Works on the ends until all are done, while owners kill themselves, each at one step later than the one before.
    ///
    /// - Parameter steps: the last step at which one dies; then it begins anew.
    /// - Returns: what went wrong.
    func run(kills: Int, dyingWithin steps: Int, limit: Duration) throws -> [String] {
        try run(kills: kills, limit: limit) { $0 % steps }
    }

    /// Works on the ends until all are done, while owners kill themselves, each at the step that `step` says for the number
    /// of deaths before it.
    ///
    /// - Returns: what went wrong.
    func run(kills: Int, limit: Duration, dyingAt step: (Int) -> Int) throws -> [String] {
        let deadline = ContinuousClock.now + limit
        try start(dyingAt: step(0))
        while ends.contains(where: { !$0.end.isDone }) {
            guard ContinuousClock.now < deadline else {
                return ["not done in \(limit) after \(deaths) deaths"] + faults
            }
            self.step(milliseconds: 1)
            if ends.contains(where: { $0.end.fault != nil }) { return faults }
            guard let status = ownerStatus(), status != 0 else { continue }
            guard status & 0x7F == SIGKILL else { return ["the owner ended: \(status)"] + faults }
            deaths += 1
            if deaths == kills { finish() }
            try start(dyingAt: deaths < kills ? step(deaths) : nil)
        }
        return faults
    }

    /// The streams that have no end yet get one.
    private func finish() {
        for box in ends where box.end.total == .max {
            box.end.total = box.end.sent
            box.end.isPaused = false
        }
    }

    private var faults: [String] {
        ends.indices.compactMap { number in
            let peer = ends[senders[number]]
            guard ends[number].end.fault == nil else { return "end \(number): \(ends[number].end.fault!)" }
            guard ends[number].end.hasEnded, ends[number].end.received == peer.end.due else {
                return "end \(number) received \(ends[number].end.received) of \(peer.end.due)"
            }
            return nil
        }
    }

    private func step(milliseconds: Int32) { StreamEnd.step(ends, milliseconds: milliseconds) }

    // MARK: Owners

    private func kill() throws {
        guard let owner else { return }
        end(owner)
        deaths += 1
        try start()
    }

    private func end(_ owner: (pid: pid_t, channel: CInt)) {
        Glibc.kill(owner.pid, SIGKILL)
        var status: CInt = 0
        waitpid(owner.pid, &status, 0)
        close(owner.channel)
        self.owner = nil
    }

    private func ownerStatus() -> CInt? {
        guard let owner else { return nil }
        var status: CInt = 0
        guard waitpid(owner.pid, &status, WNOHANG) == owner.pid else { return nil }
        close(owner.channel)
        self.owner = nil
        return status
    }

    /// - Parameter step: the one at which the owner kills itself.
    private func start(dyingAt step: Int? = nil) throws {
        let started = try OwnerProcess(memory, dyingAt: step, sockets)
        owner = (started.pid, started.channel)
    }
}

struct Fault: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
