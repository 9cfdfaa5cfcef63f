package import BatonCore
import Glibc
import HostMigration
import Synchronization

/// How a connection of the lab is made: by which IP, and with what its handshake leaves out.
package struct Shape: Sendable, CustomStringConvertible {
    package var family: IPAddress.Family
    /// Settings of the client's TCP while it connects.
    package var settings: [String: Int] = [:]
    package var mss: Int32?
    /// Whether the server accepts IPv4 with an IPv6 socket.
    package var isDualStack = false
    package var description: String

    package static let plain4 = Shape(family: .ipv4, description: "IPv4")
    package static let plain6 = Shape(family: .ipv6, description: "IPv6")

    /// Both families, plainly, and each thing that a handshake can leave out.
    package static let all: [Shape] = [
        plain4, plain6,
        Shape(family: .ipv4, settings: ["tcp_timestamps": 0], description: "no timestamps"),
        Shape(family: .ipv4, settings: ["tcp_sack": 0], description: "no SACK"),
        Shape(family: .ipv4, settings: ["tcp_window_scaling": 0], description: "no window scaling"),
        Shape(
            family: .ipv6, settings: ["tcp_timestamps": 0, "tcp_sack": 0, "tcp_window_scaling": 0],
            description: "IPv6, none of them"),
        Shape(family: .ipv4, mss: 200, description: "MSS 200"),
        Shape(family: .ipv4, isDualStack: true, description: "IPv4 on a dual-stack socket"),
    ]
}

/// A connection between a client and an echo that moves back and forth between the hosts.
package struct Journey: Sendable {
    /// What came of it.
    package struct Outcome: Sendable {
        package var echoed = 0
        package var moves = 0
        /// What the client's TCP counted meanwhile.
        package var counters = TCPCounters()
        package var durations: [Duration] = []

        /// Whether the client's TCP saw no reset and no retransmission timer fire, unless a move took so long (on a
        /// loaded machine) that its timer, 200 ms at least, had to.
        package var isUndisturbed: Bool {
            let wasSlow = durations.contains { $0 > .milliseconds(150) }
            return counters.resets == 0 && (counters.timeouts == 0 || wasSlow)
        }
    }

    package var shape: Shape
    /// How often it moves.
    package var moves: Int
    /// How much is echoed between two moves, at least.
    package var stride: Int

    package init(_ shape: Shape, moves: Int, stride: Int) {
        self.shape = shape
        self.moves = moves
        self.stride = stride
    }

    /// Runs `client` in the client's namespace with a connected socket, which is closed after it. When `isOver` says
    /// that the last move is done it must shut down.
    package func run(
        client: @escaping @Sendable (Int32, _ isOver: @escaping @Sendable () -> Bool) throws -> Void
    ) async throws -> Outcome {
        let lab = Lab.shared
        let mover = try await Mover.shared()
        let before = try await lab.run(in: .client) { try TCPCounters.read() }
        let pair = try await Pair(shape)
        let over = Flag()
        let running = lab.start(in: .client) {
            defer { close(pair.client) }
            try client(pair.client) { over.isSet }
        }
        defer { over.set() }
        var outcome = Outcome()
        var role = Lab.Role.a
        var echo = Echo(Echo.State(descriptor: pair.server), in: role)
        for _ in 0..<moves {
            let goal = echo.echoed + stride
            try await echo.wait(for: goal)
            var state = try await echo.stop()
            let result = try await mover.move([state.descriptor], from: role)
            guard result.outcomes == [.moved], let arrived = result.arrived.values.first else {
                throw MoveFailed(result.outcomes)
            }
            outcome.durations.append(result.duration)
            outcome.moves += 1
            state.descriptor = arrived
            role = role == .a ? .b : .a
            echo = Echo(state, in: role)
        }
        over.set()
        let state = try await echo.finish()
        try await running.value
        close(state.descriptor)
        outcome.echoed = state.echoed
        outcome.counters = try await lab.run(in: .client) { try TCPCounters.read() } - before
        return outcome
    }
}

private final class Flag: Sendable {
    private let value = Atomic(false)

    var isSet: Bool { value.load(ordering: .acquiring) }
    func set() { value.store(true, ordering: .releasing) }
}

/// A connection between the client and host A.
package struct Pair: Sendable {
    package let client: Int32
    package let server: Int32

    package init(_ shape: Shape = .plain4, clientReceiveBuffer: Int32? = nil) async throws {
        let lab = Lab.shared
        let port = Pair.port
        let listener = try await lab.run(in: .a) {
            try Sockets.listen(shape.family, port: port, mss: shape.mss, isDualStack: shape.isDualStack)
        }
        defer { close(listener) }
        client = try await lab.run(in: .client) {
            for (name, value) in shape.settings { try setting(name, value) }
            defer { for name in shape.settings.keys { try? setting(name, 1) } }
            return try Sockets.connect(shape.family, port: port, receiveBuffer: clientReceiveBuffer)
        }
        server = try await lab.run(in: .a) { try Sockets.accept(listener) }
    }

    package static let port: UInt16 = 4443
}

private func setting(_ name: String, _ value: Int) throws {
    guard let file = fopen("/proc/sys/net/ipv4/" + name, "w") else { throw LabError(name) }
    defer { fclose(file) }
    fputs(String(value), file)
}
