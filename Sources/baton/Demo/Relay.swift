import BatonCore
import Handoff
import Libc
import TLSRecords

/// A session of the demo while this process owns it: TLS with the client, plain bytes with the backend, over
/// non-blocking sockets and poll(2).
struct Relay: ~Copyable {
    /// Why a relay stopped.
    enum Ending {
        /// The next move is due.
        case moveDue
        /// Both sides have ended in order.
        case finished
    }

    private static let chunk = 64 << 10
    private static let maxOutgoing = 256 << 10
    private static let patienceSeconds: Int32 = 30

    private var connection: Connection
    private var sockets: DescriptorSet
    private(set) var state: DemoState
    private var metadata: ParcelMetadata
    private let nextMove: UInt64?
    private var isBackendClosed = false
    private var isClientGone = false
    /// Nanoseconds from the last byte under the old owner to the first under this one; `nil` until there is one.
    private(set) var pause: UInt64?

    /// Takes over what was handed on.
    init(_ parcel: consuming Parcel) throws {
        guard let snapshot = parcel.snapshot.take(), parcel.sockets.count == 2,
            let state = DemoState(parcel.applicationState)
        else { throw Failure("the parcel is not one of this demo") }
        connection = Connection(resuming: snapshot)
        self.state = state
        metadata = parcel.metadata
        nextMove = state.nextMove()
        sockets = DescriptorSet()
        swap(&sockets, &parcel.sockets)
    }

    /// Stops in mid-stream; the parcel is everything the next owner needs.
    consuming func suspend() -> Parcel {
        state.moves += 1
        metadata.moves += 1
        return Parcel(
            snapshot: connection.suspend(), sockets: sockets, applicationState: state.bytes, metadata: metadata)
    }

    private var client: Int32 { sockets[0] }
    private var backend: Int32 { sockets[1] }

    /// Carries bytes both ways until something is to be done.
    mutating func run(report: (borrowing Relay) -> Void) throws -> Ending {
        try deliver()
        var hasReported = false
        while true {
            if pause != nil, !hasReported {
                report(self)
                hasReported = true
            }
            if let nextMove, state.bytesUp + state.bytesDown >= nextMove, hasReported { return .moveDue }
            if isBackendClosed, isClientGone || (connection.isReadClosed && connection.outgoingCount == 0) {
                return .finished
            }
            let ready = try wait()
            if ready.client & Int16(POLLOUT) != 0 { try flush() }
            if ready.backend & Int16(POLLOUT) != 0 { try deliver() }
            if ready.client & Int16(POLLIN | POLLHUP | POLLERR) != 0 { try readClient() }
            if ready.backend & Int16(POLLIN | POLLHUP | POLLERR) != 0 { try readBackend() }
        }
    }

    private func wait() throws -> (client: Int16, backend: Int16) {
        var interest: (client: Int16, backend: Int16) = (0, 0)
        if connection.unreadCount == 0, !connection.isReadClosed { interest.client |= Int16(POLLIN) }
        if connection.outgoingCount > 0 { interest.client |= Int16(POLLOUT) }
        if !isBackendClosed, connection.outgoingCount < Relay.maxOutgoing { interest.backend |= Int16(POLLIN) }
        if connection.unreadCount > 0 { interest.backend |= Int16(POLLOUT) }
        // A descriptor from which nothing is wanted must not be polled: a hang-up would wake us for ever.
        var polled: [2 of pollfd] = [
            pollfd(fd: interest.client == 0 ? -1 : client, events: interest.client, revents: 0),
            pollfd(fd: interest.backend == 0 ? -1 : backend, events: interest.backend, revents: 0),
        ]
        while true {
            let count = withUnsafeMutablePointer(to: &polled) {
                $0.withMemoryRebound(to: pollfd.self, capacity: 2) { poll($0, 2, Relay.patienceSeconds * 1000) }
            }
            if count > 0 { return (polled[0].revents, polled[1].revents) }
            if count == 0 { throw Failure("no byte moved for \(Relay.patienceSeconds) s") }
            guard errno == EINTR else { throw Failure("poll: \(String(cString: strerror(errno)))") }
        }
    }

    /// How much to take at once: not beyond the next move, so that moves come at arbitrary bytes and not only where large
    /// reads end.
    private var step: Int {
        guard let nextMove else { return Relay.chunk }
        let left = nextMove - min(nextMove, state.bytesUp + state.bytesDown)
        return max(1, Int(min(UInt64(Relay.chunk), left)))
    }

    /// A byte has passed between the client and this owner.
    private mutating func touch() {
        let now = MonotonicTime.now
        if pause == nil { pause = state.lastByteAt == 0 ? 0 : now - min(now, state.lastByteAt) }
        state.lastByteAt = now
    }

    // MARK: Client to backend

    private mutating func readClient() throws {
        let (client, step) = (client, step)
        var outcome = NonBlockingIO.Outcome.wouldBlock
        connection.receive(upTo: step) { space in
            outcome = NonBlockingIO.read(client, into: space, upTo: step)
            if case .bytes(let count) = outcome { return count } else { return 0 }
        }
        switch outcome {
        case .bytes:
            touch()
            try deliver()
        case .wouldBlock: return
        case .end, .failed:
            isClientGone = true
            // Some clients leave without a close_notify once they have ours.
            guard !isBackendClosed else { return }
            connection.receiveEnd()
            try deliver()
        }
    }

    /// Writes received plaintext to the backend, as far as it takes it.
    private mutating func deliver() throws {
        while let event = try connection.nextEvent() {
            switch event {
            case .applicationData:
                let backend = backend
                let outcome = connection.withUnread { span in
                    span.withUnsafeBytes { NonBlockingIO.write(backend, $0) }
                }
                switch outcome {
                case .bytes(let count):
                    connection.consumeUnread(count)
                    state.bytesUp += UInt64(count)
                case .wouldBlock: return
                case .end, .failed: throw Failure("the backend closed its side too early")
                }
            case .closeNotify: shutdown(backend, Int32(SHUT_WR))
            case .keyUpdate, .sessionTicket: break
            }
        }
        try flush()
    }

    // MARK: Backend to client

    private mutating func readBackend() throws {
        let (backend, step) = (backend, step)
        let outcome = try withUnsafeTemporaryAllocation(byteCount: step, alignment: 16) { space in
            let outcome = NonBlockingIO.read(backend, into: space, upTo: step)
            if case .bytes(let count) = outcome {
                try connection.send(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(space)[..<count]).bytes)
            }
            return outcome
        }
        switch outcome {
        case .bytes(let count): state.bytesDown += UInt64(count)
        case .wouldBlock: return
        case .end:
            isBackendClosed = true
            connection.close()
        case .failed(let code): throw Failure("the backend: \(String(cString: strerror(code)))")
        }
        try flush()
    }

    private mutating func flush() throws {
        while connection.outgoingCount > 0 {
            let client = client
            let outcome = connection.withOutgoing { span in
                span.withUnsafeBytes { NonBlockingIO.write(client, $0) }
            }
            switch outcome {
            case .bytes(let count):
                connection.didWrite(count)
                touch()
            case .wouldBlock: return
            case .end, .failed:
                isClientGone = true
                guard isBackendClosed else { throw Failure("the client closed its side too early") }
                return
            }
        }
    }
}
