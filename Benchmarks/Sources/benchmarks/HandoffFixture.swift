import CRival
import Glibc
import Handoff
import TLSRecords

/// Two processes, a handoff channel and a bare socket between them, and connections to hand over.
final class HandoffFixture {
    private var channel: OwnerChannel
    private let bare: Int32
    private let receiver: pid_t
    private let socket: Int32
    private let peer: Int32
    private let snapshot: SecretBytes

    init(_ credentials: Credentials) throws {
        var pair = try ConnectedPair(.aes128GCM, credentials)
        try pair.exchange()
        snapshot = pair.intoServer().suspend().encoded()
        let (near, far) = try HandoffFixture.socketPair()
        let (bareNear, bareFar) = try HandoffFixture.socketPair()
        (socket, peer) = try HandoffFixture.connectedSockets()
        bare = bareNear
        receiver = try HandoffFixture.start(far, bareFar)
        close(far)
        close(bareFar)
        channel = OwnerChannel(try .adopting(near))
        try channel.awaitHello(deadline: .after(.seconds(30)))
    }

    deinit {
        close(socket)
        close(peer)
        close(bare)
        // Its channels end with ours, and so does it.
        kill(receiver, SIGTERM)
        waitpid(receiver, nil, 0)
    }

    /// Nanoseconds to suspend and hand over one batch: until the commit has left, which makes the receiver the owner;
    /// or, if each is confirmed, until the owner has read that the receiver has resumed them. In either case all are
    /// confirmed when the time is taken.
    func handOver(batches: Int, of size: Int, confirmingEach: Bool = false) throws -> Double {
        var waiting = try (0..<batches * size).map { _ in try IdleConnection(snapshot, on: duplicate()) }
        let stopwatch = Stopwatch()
        for _ in 0..<batches {
            var batch = ParcelBatch()
            batch.reserveCapacity(size)
            for _ in 0..<size {
                if let parcel = waiting.removeLast().parcel() { batch.append(parcel) }
            }
            let outcome = channel.offer(batch, deadline: .after(.seconds(30)))
            guard outcome.settlement.handedOverCount == size else {
                throw BenchmarkError("a handoff ended with \(outcome.settlement.ending)")
            }
            if confirmingEach { try channel.awaitConfirmation(deadline: .after(.seconds(30))) }
        }
        try channel.awaitConfirmation(deadline: .after(.seconds(30)))
        return stopwatch.elapsed / Double(batches)
    }

    /// Nanoseconds for a bare round trip of `size` descriptors.
    func roundTrips(_ count: Int, of size: Int) throws -> Double {
        let descriptors = try (0..<count * size).map { _ in try duplicate() }
        let stopwatch = Stopwatch()
        for index in 0..<count {
            let result = descriptors.withUnsafeBufferPointer {
                rival_round_trip(bare, $0.baseAddress! + index * size, Int32(size))
            }
            guard result == 0 else { throw BenchmarkError("a round trip of descriptors failed") }
        }
        return stopwatch.elapsed / Double(count)
    }

    private func duplicate() throws -> Int32 {
        let copy = fcntl(socket, F_DUPFD_CLOEXEC, 0)
        guard copy >= 0 else { throw BenchmarkError("no more descriptors; raise ulimit -n") }
        return copy
    }

    private static func socketPair() throws -> (Int32, Int32) {
        var ends: [Int32] = [0, 0]
        let type = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, type, 0, &ends) == 0 else { throw BenchmarkError("no socket pair") }
        return (ends[0], ends[1])
    }

    /// A TCP connection over loopback.
    private static func connectedSockets() throws -> (Int32, Int32) {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let listener = Glibc.socket(AF_INET, type, 0)
        defer { close(listener) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let client = Glibc.socket(AF_INET, type, 0)
        let isConnected = withUnsafeMutablePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(listener, address, length) == 0 && listen(listener, 1) == 0
                    && getsockname(listener, address, &length) == 0 && connect(client, address, length) == 0
            }
        }
        guard isConnected else { throw BenchmarkError("no TCP connection over loopback") }
        let server = accept(listener, nil, nil)
        guard server >= 0 else { throw BenchmarkError("no TCP connection over loopback") }
        return (server, client)
    }

    private static func start(_ first: Int32, _ second: Int32) throws -> pid_t {
        let program = "/proc/self/exe"
        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("benchmarks"), strdup(HandoffReceiver.argument), nil]
        defer { for argument in arguments { free(argument) } }
        let result = rival_spawn(program, &arguments, first, second)
        guard result > 0 else { throw BenchmarkError("cannot start the receiving process") }
        return result
    }
}
