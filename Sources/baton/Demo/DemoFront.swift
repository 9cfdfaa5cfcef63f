import ArgumentParser
import BatonCore
import Handoff
import Libc
import TLSHandshake
import TLSRecords

/// The demo's front: accepts the one client and completes the handshake, blocking, with a time limit.
struct DemoFront: ~Copyable {
    private let listener: Int32
    let port: UInt16
    private let context: ServerContext

    init(_ context: ServerContext) throws {
        self.context = context
        let descriptor = socket(AF_INET, SocketKind.stream | SocketKind.closeOnExec, 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && listen(descriptor, 1) == 0
                    && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard isListening else {
            throw Failure("cannot listen on the loopback address: \(String(cString: strerror(errno)))")
        }
        listener = descriptor
        port = UInt16(bigEndian: address.sin_port)
    }

    deinit { Libc.close(listener) }

    /// Accepts the client and completes the handshake.
    ///
    /// - Returns: the connection at rest with its socket, which is non-blocking.
    borrowing func accept(within limit: Duration) throws -> Parcel {
        let deadline = Deadline.after(limit)
        try wait(listener, Int16(POLLIN), deadline)
        let client = Libc.accept(listener, nil, nil)
        guard client >= 0 else { throw Failure("accept: \(String(cString: strerror(errno)))") }
        let sockets = DescriptorSet(owning: client)
        NonBlockingIO.setNonBlocking(client)
        var on: Int32 = 1
        setsockopt(client, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        var handshake = Handshake(server: context)
        while try handshake.advance() == .needsInput {
            try flush(&handshake, to: client, deadline)
            try wait(client, Int16(POLLIN), deadline)
            let outcome = withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 1) { space in
                let outcome = NonBlockingIO.read(client, into: space, upTo: space.count)
                if case .bytes(let count) = outcome {
                    handshake.receive(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(space)[..<count]).bytes)
                }
                return outcome
            }
            if outcome == .end { try handshake.receiveEnd() }
            if case .failed(let code) = outcome { throw Failure("the client: \(String(cString: strerror(code)))") }
        }
        return Parcel(snapshot: try handshake.snapshot(), sockets: sockets)
    }

    private borrowing func flush(_ handshake: inout Handshake, to client: Int32, _ deadline: Deadline) throws {
        while handshake.outgoingCount > 0 {
            let outcome = handshake.withOutgoing { span in
                span.withUnsafeBytes { NonBlockingIO.write(client, $0) }
            }
            switch outcome {
            case .bytes(let count): handshake.didWrite(count)
            case .wouldBlock: try wait(client, Int16(POLLOUT), deadline)
            case .end, .failed: throw Failure("the client closed its side during the handshake")
            }
        }
    }

    private borrowing func wait(_ descriptor: Int32, _ events: Int16, _ deadline: Deadline) throws {
        var polled = pollfd(fd: descriptor, events: events, revents: 0)
        while poll(&polled, 1, Int32(min(deadline.remainingMilliseconds, 200))) <= 0 {
            // Which thread a signal interrupts is not ours to say.
            if let signal = Interruption.signal { throw ExitCode(128 + signal) }
            guard !deadline.hasPassed else { throw Failure("the client did not complete its handshake in time") }
        }
    }
}
