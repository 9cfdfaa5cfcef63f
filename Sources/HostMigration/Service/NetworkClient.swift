import Glibc

/// The server's side of its privileged process. One request at a time.
package final class NetworkClient {
    private let channel: NetworkChannel

    /// Takes the socket over.
    package init(owning descriptor: Int32) {
        channel = NetworkChannel(owning: descriptor)
    }

    /// For poll(2): readable when `nextArrival` or `outcomes` has something.
    package var descriptor: Int32 { channel.descriptor }

    /// How many sockets can be in one request to move.
    package static let mostSockets = NetworkRequest.mostSockets

    /// The flow of each socket, or why it cannot move. The descriptors stay the caller's.
    package func examine(_ sockets: [Int32]) throws(MigrationError) -> [Result<Flow, MigrationError>] {
        guard case .examined(let results) = try ask(.examine, sockets), results.count == sockets.count else {
            throw MigrationError(.protocolViolation, "examine")
        }
        return results
    }

    /// Begins a move over `transport`, of which the caller closes its copy. The descriptors stay the caller's, too; those
    /// that moved are of no use any more. `outcomes` has the answer.
    package func beginMove(
        _ sockets: [Int32], groups: [Int], over transport: Int32, to host: NextHop
    ) throws(MigrationError) {
        try channel.send(NetworkRequest.move(host: host, groups: groups).encoded, [transport] + sockets)
    }

    /// Waits for the answer to `beginMove`.
    package func outcomes() throws(MigrationError) -> [SocketMigration.Outcome] {
        guard case .outcomes(let outcomes) = try next().reply else { throw MigrationError(.protocolViolation) }
        return outcomes
    }

    /// Begins to receive a batch over `transport`, of which the caller closes its copy.
    package func beginArrival(over transport: Int32) throws(MigrationError) {
        try channel.send(NetworkRequest.arrive.encoded, [transport])
    }

    /// What has happened since `beginArrival`.
    package enum Arrival {
        /// This connection is here; the descriptor is the caller's.
        case connection(Flow, Int32)
        /// Nothing more comes. The error says why nothing, or not all, came.
        case end(MigrationError?)
    }

    /// Waits for the next of them.
    package func nextArrival() throws(MigrationError) -> Arrival {
        let (reply, descriptors) = try next()
        switch (reply, descriptors.count) {
        case (.arrived(let flow), 1): return .connection(flow, descriptors[0])
        case (.done, 0): return .end(nil)
        case (.failed(let error), 0): return .end(error)
        default:
            for descriptor in descriptors { close(descriptor) }
            throw MigrationError(.protocolViolation, "arrive")
        }
    }

    /// Forwards new connections to these ports from now on.
    package func steerNewcomers(ports: [UInt16], to host: NextHop) throws(MigrationError) {
        try expectDone(.steerNewcomers(ports: ports, host: host))
    }

    /// Ends `steerNewcomers`.
    package func keepNewcomers() throws(MigrationError) { try expectDone(.keepNewcomers) }

    /// Answers for the service addresses no more; which those were.
    package func leaveAddresses() throws(MigrationError) -> [IPAddress] {
        guard case .addresses(let addresses) = try ask(.leaveAddresses) else {
            throw MigrationError(.protocolViolation)
        }
        return addresses
    }

    /// Answers for the addresses, and forwards `flows` to `host`, which still has them.
    package func takeAddresses(
        _ addresses: [IPAddress], forwarding flows: [Flow], to host: NextHop
    ) throws(MigrationError) {
        try expectDone(.takeAddresses(addresses, forwarding: flows, host: host))
    }

    /// How many flows this host forwards.
    package func steeredCount() throws(MigrationError) -> Int {
        guard case .count(let count) = try ask(.countSteered) else { throw MigrationError(.protocolViolation) }
        return count
    }

    private func expectDone(_ request: NetworkRequest) throws(MigrationError) {
        guard case .done = try ask(request) else { throw MigrationError(.protocolViolation) }
    }

    private func ask(_ request: NetworkRequest, _ descriptors: [Int32] = []) throws(MigrationError) -> NetworkReply {
        try channel.send(request.encoded, descriptors)
        let (reply, received) = try next()
        for descriptor in received { close(descriptor) }
        if case .failed(let error) = reply { throw error }
        return reply
    }

    private func next() throws(MigrationError) -> (reply: NetworkReply, descriptors: [Int32]) {
        guard let (bytes, descriptors) = try channel.receive() else {
            throw MigrationError(.linkEnded, "the privileged process is gone; its output tells why")
        }
        guard let reply = bytes.withUnsafeBytes({ NetworkReply($0) }) else {
            for descriptor in descriptors { close(descriptor) }
            throw MigrationError(.protocolViolation, "reply")
        }
        return (reply, descriptors)
    }
}
