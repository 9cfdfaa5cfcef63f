package import BatonCore
import Libc

/// The server's side of its privileged process. One request at a time.
package final class NetworkClient {
    private let channel: NetworkChannel
    /// Of the request that is being answered.
    private var number: UInt32 = 0

    /// Takes the socket over.
    package init(owning descriptor: Int32) {
        channel = NetworkChannel(owning: descriptor)
    }

    /// For poll(2): readable when `nextArrival` or `outcomes` has something.
    package var descriptor: Int32 { channel.descriptor }

    /// How many sockets can be in one request to move.
    package static let maxSockets = NetworkRequest.maxSockets

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
        try send(.move(host: host, groups: groups), [transport] + sockets)
    }

    /// Waits for the answer to `beginMove`.
    package func outcomes() throws(MigrationError) -> [SocketMigration.Outcome] {
        guard case .outcomes(let outcomes) = try next().reply else { throw MigrationError(.protocolViolation) }
        return outcomes
    }

    /// Begins to receive a batch over `transport`, of which the caller closes its copy.
    package func beginArrival(over transport: Int32) throws(MigrationError) {
        try send(.arrive, [transport])
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

    /// Makes ready for the first batch.
    package func prepare() throws(MigrationError) { try expectDone(.prepare) }

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

    /// The connections of the service addresses that are not at `host`: this host's own, whosever they are, and those that it
    /// forwards elsewhere.
    package func stayingFlows(besidesThoseAt host: NextHop) throws(MigrationError) -> [Flow] {
        var all: [Flow] = []
        while true {
            let request = NetworkRequest.stayingFlows(besidesThoseAt: host, isFirst: all.isEmpty)
            guard case .flows(let flows) = try ask(request) else { throw MigrationError(.protocolViolation) }
            all += flows
            if flows.count < NetworkRequest.maxFlows { return all }
        }
    }

    /// Answers for the addresses, and forwards `flows` alone to `host`, which still has them.
    package func takeAddresses(
        _ addresses: [IPAddress], forwarding flows: [Flow], to host: NextHop
    ) throws(MigrationError) {
        var rest = flows[...]
        var isAlone = true
        repeat {
            let part = rest.prefix(NetworkRequest.maxFlows)
            rest = rest.dropFirst(part.count)
            try expectDone(.forward(Array(part), host: host, alone: isAlone))
            isAlone = false
        } while !rest.isEmpty
        try expectDone(.takeAddresses(addresses))
    }

    /// Answers for addresses again that this host has left and nobody has taken.
    package func keepAddresses(_ addresses: [IPAddress]) throws(MigrationError) {
        try expectDone(.keepAddresses(addresses))
    }

    /// Resets connections that a privileged process which died may have left in repair. The descriptors stay the caller's.
    package func reset(_ sockets: [Int32]) throws(MigrationError) { _ = try ask(.reset, sockets) }

    /// How many flows this host forwards.
    package func steeredCount() throws(MigrationError) -> Int {
        guard case .count(let count) = try ask(.countSteered) else { throw MigrationError(.protocolViolation) }
        return count
    }

    private func expectDone(_ request: NetworkRequest) throws(MigrationError) {
        guard case .done = try ask(request) else { throw MigrationError(.protocolViolation) }
    }

    private func ask(_ request: NetworkRequest, _ descriptors: [Int32] = []) throws(MigrationError) -> NetworkReply {
        try send(request, descriptors)
        let (reply, received) = try next()
        for descriptor in received { close(descriptor) }
        if case .failed(let error) = reply { throw error }
        return reply
    }

    private func send(_ request: NetworkRequest, _ descriptors: [Int32]) throws(MigrationError) {
        number = number == .max ? 1 : number + 1
        var bytes: [UInt8] = []
        bytes.append(bigEndian: number)
        try channel.send(bytes + request.encoded, descriptors)
    }

    /// The next reply to the last request. Those to requests that were given up are passed over.
    private func next() throws(MigrationError) -> (reply: NetworkReply, descriptors: [Int32]) {
        while true {
            guard let (bytes, descriptors) = try channel.receive() else {
                throw MigrationError(.linkEnded, "the privileged process is gone; its output tells why")
            }
            let (number, reply) = bytes.withUnsafeBytes { bytes in
                var reader = WireReader(bytes)
                return (reader.uint32(), NetworkReply(UnsafeRawBufferPointer(rebasing: bytes.dropFirst(4))))
            }
            if number == self.number, let reply { return (reply, descriptors) }
            for descriptor in descriptors { close(descriptor) }
            guard let reply, let number else { throw MigrationError(.protocolViolation, "reply") }
            if number == 0, reply == .restarted {
                throw MigrationError(.linkEnded, "the privileged process had to be started anew")
            }
        }
    }
}
