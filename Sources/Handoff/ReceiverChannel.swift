public import BatonCore
internal import CLinuxSockets
internal import Libc
internal import TLSRecords

/// The receiver's end of a handoff channel: it takes connections one owner offers.
///
/// `receive(deadline:decide:)` waits, for threads that may block. An event loop calls `step` whenever `descriptor` is
/// ready for `interest`, and once at `deadline`; all three may change with every step.
///
/// An accepted offer has no time limit: whoever stops waiting for its commit keeps the channel and waits again later.
/// To let the channel go is to discard what it holds.
public struct ReceiverChannel: ~Copyable, Sendable {
    /// Looks at one parcel and says whether this process wants it. It must not use the sockets.
    public typealias Decision = (borrowing Parcel) -> Verdict

    var socket: HandoffSocket?
    var incoming: IncomingOffer?
    var unsealer: Unsealer
    var outbox: [[UInt8]] = []
    var buffer = ByteQueue()
    let owner: PeerProcess
    let options: ReceiverOptions

    /// When to call `step` although nothing happened; `nil` most of the time.
    public internal(set) var deadline: Deadline?

    /// Why the channel serves no more.
    public internal(set) var failure: HandoffError?

    /// Who is at the other end, as the kernel attests.
    public let peer: PeerCredentials

    /// The receiver's end of `socket`; introduces this process to the owner.
    public init(_ socket: consuming HandoffSocket, options: ReceiverOptions = ReceiverOptions()) {
        self.options = options
        peer = socket.peer
        owner = PeerProcess(of: socket)
        // Without it no sender is attested, and nothing is adopted.
        _ = baton_attest_senders(socket.descriptor)
        let key = SealKey.random()
        let id = ReceiverID.random()
        unsealer = Unsealer(key: key, receiver: id)
        let hello = Hello(
            versions: HandoffProtocol.versions, snapshots: Snapshot.readableVersions, receiver: id,
            processID: UInt32(getpid()), room: options.room, largestOffer: UInt64(max(0, options.largestOffer)))
        var bytes: [UInt8] = []
        bytes.reserveCapacity(HandoffProtocol.helloSize)
        hello.write(key: key, to: &bytes)
        // The send buffer of a new socket has room for it.
        let sent = bytes.withUnsafeBytes { socket.send($0) }
        bytes.withUnsafeMutableBytes { _ = $0.initializeMemory(as: UInt8.self, repeating: 0) }
        guard sent == .sent else {
            failure = HandoffError(.channelEnded, "the owner closed the channel before it began")
            self.socket = nil
            return
        }
        self.socket = consume socket
    }

    /// Whether this process has accepted an offer and waits to hear whether it owns it.
    public var isHolding: Bool {
        switch incoming {
        case .some(let offer): !offer.transfer.isOver
        case .none: false
        }
    }

    /// For poll(2) and the like; -1 once the channel is closed. Usually the channel's own; the owner's pidfd while its
    /// death is to be proved.
    public var descriptor: Int32 {
        if deadline != nil { return owner.descriptor }
        switch socket {
        case .some(let socket): return socket.descriptor
        case .none: return -1
        }
    }

    /// What to poll `descriptor` for: POLLIN, or POLLOUT while an answer waits for room.
    public var interest: Int16 { outbox.isEmpty || deadline != nil ? Int16(POLLIN) : Int16(POLLOUT) }

    /// Whether the next thing to happen is a message, and the socket can wait for it.
    func mayWaitInReceive(until limit: Deadline) -> Bool {
        guard deadline == nil, outbox.isEmpty else { return false }
        switch socket {
        case .some(let socket): return socket.mayWait(until: limit)
        case .none: return false
        }
    }

    // MARK: driving

    /// Receives and answers what is possible without waiting; `nil` when there is nothing to tell.
    ///
    /// - Parameter decide: called once for each parcel of an offer that can be read.
    /// - Throws: why the channel failed; what it held has been discarded.
    public mutating func step(_ decide: Decision) throws(HandoffError) -> ReceiverEvent? {
        try step(decide, waits: false)
    }

    /// As `step`; or, if it `waits`, receives and answers the next message.
    mutating func step(_ decide: Decision, waits: Bool) throws(HandoffError) -> ReceiverEvent? {
        if deadline != nil { return prove() }
        flushOutbox()
        var buffer = ByteQueue()
        swap(&buffer, &self.buffer)
        defer { swap(&buffer, &self.buffer) }
        while outbox.isEmpty {
            guard socket != nil else {
                if let failure, failure.code != .channelEnded { throw failure }
                return .ended
            }
            var arrived = DescriptorSet()
            var result = HandoffSocket.Receiving.blocked
            buffer.append(minimum: HandoffProtocol.longestMessage) { space in
                result = socket!.receive(into: space, descriptors: &arrived, waits: waits)
                if case .message(let count, _, _) = result { return count } else { return 0 }
            }
            switch result {
            case .blocked: return nil
            case .failed(let code):
                throw fail(HandoffError(.system, "cannot receive on a handoff channel", systemError: code))
            case .ended:
                close(HandoffError(.channelEnded, "the owner closed the channel or terminated"))
                if let event = try perform(incoming?.transfer.ended(), decide) { return event }
                if deadline != nil { return nil }
            case .message(_, let lostDescriptors, let sender):
                var message = Message(
                    descriptors: arrived, lostDescriptors: lostDescriptors,
                    isAttested: sender > 0 && sender == peer.processID)
                let action = try buffer.withBytes { (bytes) throws(HandoffError) in try handle(bytes, &message) }
                buffer.removeAll()
                if let event = try perform(action, decide) { return event }
                if waits { return nil }
            }
        }
        return nil
    }

    /// Answers could not be sent earlier.
    private mutating func flushOutbox() {
        while let first = outbox.first, socket != nil {
            switch first.withUnsafeBytes({ socket!.send($0) }) {
            case .sent: outbox.removeFirst()
            case .blocked: return
            // Nobody reads answers any more; what the owner said before it went is still to be read.
            case .ended, .failed: outbox = []
            }
        }
    }

    mutating func answer(_ kind: MessageKind, codes: [UInt8]? = nil, for transfer: TransferID) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(HandoffProtocol.headerSize + 4 + (codes?.count ?? 0))
        MessageHeader(kind: kind, transfer: transfer).write(to: &bytes)
        if let codes {
            bytes.appendInteger(UInt32(codes.count))
            bytes.append(contentsOf: codes)
        }
        outbox.append(bytes)
        flushOutbox()
    }

    /// The channel serves no more, and what it held is let go.
    mutating func fail(_ error: HandoffError) -> HandoffError {
        incoming = nil
        close(error)
        return error
    }

    mutating func close(_ error: HandoffError) {
        if failure == nil { failure = error }
        outbox = []
        socket = nil
    }
}
