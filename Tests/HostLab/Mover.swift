import BatonCore
import Glibc
package import HostMigration

/// The movers of both hosts, each with its rules, joined by a link.
package final class Mover: @unchecked Sendable {
    package static let interface = "e0"

    /// The hosts' own addresses on the front link.
    package static let hosts: [Lab.Role: NextHop] = [
        .a: NextHop(IPAddress("192.0.2.2")!, IPAddress("2001:db8::2")!),
        .b: NextHop(IPAddress("192.0.2.3")!, IPAddress("2001:db8::3")!),
    ]

    private let steering: [Lab.Role: FlowSteering]

    private static let task = Task { try await Mover() }

    /// The one of this process: a host has one hold device. Forgets what earlier moves have left steered.
    package static func shared() async throws -> Mover {
        let mover = try await task.value
        for steering in mover.steering.values { try steering.forget(Array(steering.moved.keys)) }
        return mover
    }

    private init() async throws {
        let a = try await Lab.shared.run(in: .a) { Unchecked(try FlowSteering(interface: Mover.interface)) }
        let b = try await Lab.shared.run(in: .b) { Unchecked(try FlowSteering(interface: Mover.interface)) }
        steering = [.a: a.value, .b: b.value]
    }

    package func steering(_ role: Lab.Role) -> FlowSteering { steering[role]! }

    /// What came of a batch.
    package struct Result: Sendable {
        package var outcomes: [SocketMigration.Outcome] = []
        /// The descriptor at the new host, by flow.
        package var arrived: [Flow: Int32] = [:]
        /// From before the hold to after the confirmation, as the movers see it.
        package var duration = Duration.zero
    }

    /// Moves the connections from `source` to the other host.
    package func move(_ descriptors: [Int32], from source: Lab.Role) async throws -> Result {
        let target: Lab.Role = source == .a ? .b : .a
        let (near, far) = try Mover.link()
        let receiving = Lab.shared.start(in: target) { [self] in
            var arrived: [Flow: Int32] = [:]
            let transport = StreamTransport(owning: far)
            let endpoint = MigrationTarget(transport: transport, steering: steering(target))
            try? endpoint.receive { descriptor, flow, _ in arrived[flow] = descriptor }
            try? steering(target).settle()
            return arrived
        }
        var result = try await Lab.shared.run(in: source) { [self] in
            let sockets = try descriptors.map { try MovableSocket(examining: $0) }
            let mover = MigrationSource(
                steering: steering(source), transport: StreamTransport(owning: near), to: Mover.hosts[target]!)
            let clock = ContinuousClock()
            var result = Result()
            result.duration = clock.measure { result.outcomes = mover.move(sockets) }
            try? steering(source).settle()
            return result
        }
        result.arrived = try await receiving.value
        return result
    }

    /// Moves one connection, which must move.
    package func moveOne(_ descriptor: Int32, from source: Lab.Role) async throws -> Int32 {
        let result = try await move([descriptor], from: source)
        guard result.outcomes == [.moved], let arrived = result.arrived.values.first else {
            throw MoveFailed(result.outcomes)
        }
        return arrived
    }

    /// A connected pair of stream sockets, which may cross namespaces.
    package static func link() throws -> (Int32, Int32) {
        var pair: [Int32] = [0, 0]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &pair) == 0 else {
            throw LabError("socketpair")
        }
        return (pair[0], pair[1])
    }
}

/// A connection that should have moved did not.
package struct MoveFailed: Error, CustomStringConvertible {
    package let description: String

    init(_ outcomes: [SocketMigration.Outcome]) { description = "\(outcomes)" }
}

/// Crosses a thread boundary under the caller's care.
struct Unchecked<T>: @unchecked Sendable {
    let value: T

    init(_ value: T) { self.value = value }
}
