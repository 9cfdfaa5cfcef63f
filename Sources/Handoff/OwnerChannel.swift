public import BatonCore
internal import Libc
internal import TLSRecords

/// The owner's end of a handoff channel: it offers connections to one receiver.
///
/// One offer is under way at a time. `offer(_:deadline:)` waits for its end, for threads that may block. An event loop
/// calls `begin`, then `step` whenever `descriptor` is ready for `interest`, and `expire` at `deadline`.
///
/// A connection that is offered must be silent: suspended, its sockets neither read nor written. Only
/// `OfferOutcome.returned` makes it the caller's to use again.
public struct OwnerChannel: ~Copyable, Sendable {
    private var socket: HandoffSocket?
    private var current: OutgoingOffer?
    private var sealer: Sealer?
    private var version = HandoffProtocol.versions.upperBound
    private var buffer = ByteQueue()
    private var mustSendCommit = false
    private var unconfirmed: [TransferID] = []

    /// Why the channel serves no more.
    public private(set) var failure: HandoffError?

    /// What the receiver said of itself; `nil` until it has.
    public private(set) var receiver: Hello?

    /// Who is at the other end, as the kernel attests.
    public let peer: PeerCredentials

    /// How many commits the receiver has not confirmed. It needs no waiting for: what was sent is read even if this
    /// process ends, and the connections are not this process's any more.
    public var unconfirmedCount: Int { unconfirmed.count }

    /// The owner's end of `socket`.
    public init(_ socket: consuming HandoffSocket) {
        peer = socket.peer
        self.socket = consume socket
    }

    /// Whether an offer is under way.
    public var isOffering: Bool {
        switch current {
        case .some: true
        case .none: false
        }
    }

    /// When to call `expire()`; `nil` when no offer is under way.
    public var deadline: Deadline? {
        switch current {
        case .some(let offer): offer.deadline
        case .none: nil
        }
    }

    /// For poll(2) and the like; -1 once the channel is closed.
    public var descriptor: Int32 {
        switch socket {
        case .some(let socket): socket.descriptor
        case .none: -1
        }
    }

    /// What to poll for: POLLIN, and POLLOUT while something waits to be sent.
    public var interest: Int16 {
        Int16(POLLIN) | (mustSendCommit || hasOfferToSend ? Int16(POLLOUT) : 0)
    }

    /// Whether nothing waits to be sent, so that the next thing to happen is a message, and the socket can wait for it.
    func mayWaitInReceive(until deadline: Deadline) -> Bool {
        guard interest == Int16(POLLIN) else { return false }
        switch socket {
        case .some(let socket): return socket.mayWait(until: deadline)
        case .none: return false
        }
    }

    private var hasOfferToSend: Bool {
        guard receiver != nil else { return false }
        switch current {
        case .some(let offer): return !offer.hasLeft
        case .none: return false
        }
    }

    // MARK: driving

    /// Begins to offer `batch`, which has at least one parcel and at most 16,384. No other offer may be under way.
    public mutating func begin(_ batch: consuming ParcelBatch, deadline: Deadline) {
        precondition(current == nil, "an offer is under way on this channel")
        precondition(!batch.isEmpty, "an offer has at least one parcel")
        current = OutgoingOffer(batch, deadline: deadline)
    }

    /// Sends and receives what is possible without waiting; returns the outcome when the offer is over.
    public mutating func step() -> OfferOutcome? {
        if let outcome = advanceSending() { return outcome }
        if let outcome = advanceReceiving() { return outcome }
        return advanceSending()
    }

    /// Ends the offer under way, by its time limit or because the caller wants it back. Returns `nil` only if there is
    /// none.
    public mutating func expire() -> OfferOutcome? {
        perform(current?.transfer.timeLimitReached())
    }

    /// Sends what is possible.
    mutating func advanceSending() -> OfferOutcome? {
        guard current != nil else { return nil }
        if failure != nil { return perform(current?.transfer.channelEnded()) }
        if mustSendCommit { return perform(.sendCommit) }
        guard sealer != nil else { return nil }
        if current?.isSealed == false {
            if let outcome = sealCurrent() { return outcome }
        }
        while hasOfferToSend {
            guard socket != nil else { return perform(current?.transfer.channelEnded()) }
            switch current?.sendNext(over: socket!, version: version) {
            case .sent: continue
            case .blocked, nil: return nil
            case .ended: return end()
            case .failed(let code):
                return expire(because: HandoffError(.system, "cannot send an offer", systemError: code))
            }
        }
        return perform(current?.transfer.offerLeft())
    }

    /// Receives what waits; or, if it `waits`, the next message.
    mutating func advanceReceiving(waits: Bool = false) -> OfferOutcome? {
        var buffer = ByteQueue()
        swap(&buffer, &self.buffer)
        while socket != nil {
            var strays = DescriptorSet()
            var result = HandoffSocket.Receiving.blocked
            buffer.append(minimum: HandoffProtocol.longestMessage) { space in
                result = socket!.receive(into: space, descriptors: &strays, waits: waits)
                if case .message(let count, _, _) = result { return count } else { return 0 }
            }
            var outcome: OfferOutcome?
            var isDone = waits
            switch result {
            case .blocked: isDone = true
            case .ended: outcome = end()
            case .failed(let code):
                outcome = fail(HandoffError(.system, "cannot receive on a handoff channel", systemError: code))
            case .message:
                outcome = buffer.withBytes { handle($0, carriesDescriptors: !strays.isEmpty) }
                // HELLO holds the seal key.
                buffer.withMutableBytes { _ = $0.initializeMemory(as: UInt8.self, repeating: 0) }
                buffer.removeAll()
            }
            if isDone || outcome != nil {
                swap(&buffer, &self.buffer)
                return outcome
            }
        }
        return nil
    }

    // MARK: messages

    private mutating func handle(_ bytes: UnsafeRawBufferPointer, carriesDescriptors: Bool) -> OfferOutcome? {
        var reader = WireReader(bytes)
        guard let header = MessageHeader.read(&reader), header.descriptorCount == 0, !carriesDescriptors else {
            return refuse("a message of unknown form")
        }
        if header.kind == .hello { return handleHello(&reader) }
        switch header.kind {
        case .accept:
            guard header.transfer == current?.id else { return nil }
            guard let codes = readCodes(&reader) else { return refuse("an accept of wrong length") }
            return perform(current?.transfer.answered(codes.map(Verdict.init)))
        case .decline:
            guard header.transfer == current?.id else { return nil }
            guard let codes = readCodes(&reader), !codes.isEmpty else { return refuse("a decline of wrong length") }
            return perform(current?.transfer.declined(codes.map { DeclineReason(rawValue: $0) ?? .malformed }))
        case .committed:
            unconfirmed.removeAll { $0 == header.transfer }
            return nil
        case .hello, .offer, .chunk, .commit, .cancel:
            return refuse("a message only an owner sends; both ends of this channel are owners")
        }
    }

    private mutating func handleHello(_ reader: inout WireReader) -> OfferOutcome? {
        guard receiver == nil, let (hello, key) = Hello.read(&reader) else { return refuse("a hello of wrong form") }
        do throws(HandoffError) {
            version = try hello.agreedVersion()
        } catch {
            return fail(error)
        }
        receiver = hello
        if let key = SealKey(copying: key.bytes) { sealer = Sealer(key: key, receiver: hello.receiver) }
        return nil
    }

    private func readCodes(_ reader: inout WireReader) -> [UInt8]? {
        guard let count = reader.uint32(), count <= HandoffProtocol.maxParcels, let codes = reader.bytes(Int(count)),
            reader.isAtEnd
        else { return nil }
        return Array(codes)
    }

    // MARK: actions

    private mutating func sealCurrent() -> OfferOutcome? {
        do throws(ParcelError) {
            guard sealer != nil else { return nil }
            try current?.seal(with: sealer!)
        } catch {
            return expire(because: HandoffError(.invalidBatch, "the batch cannot be offered: \(error)"))
        }
        if let receiver, let count = current?.sealedCount, UInt64(count) > receiver.largestOffer {
            return perform(current?.transfer.declined([.tooLarge]))
        }
        return nil
    }

    private mutating func perform(_ action: OwnerTransfer.Action?, error: HandoffError? = nil) -> OfferOutcome? {
        switch action {
        case nil, .some(.none): return nil
        case .sendCommit:
            switch send(.commit, urgently: false) {
            case .sent:
                mustSendCommit = false
                if let id = current?.id { unconfirmed.append(id) }
                return perform(current?.transfer.commitLeft(), error: error)
            case .blocked:
                mustSendCommit = true
                return nil
            case .ended: return end()
            case .failed(let code):
                return expire(because: HandoffError(.system, "cannot send a commit", systemError: code))
            }
        case .sendCancel:
            switch send(.cancel, urgently: true) {
            case .sent: return perform(current?.transfer.cancelLeft(), error: error)
            case .ended: return perform(current?.transfer.channelEnded(), error: error)
            case .blocked, .failed: return perform(current?.transfer.cancelRefused(), error: error)
            }
        case .refuse(let what):
            let violation = HandoffError(.protocolViolation, "the receiver sent \(what); update the older side")
            let outcome = perform(.sendCancel, error: violation)
            close(violation)
            return outcome
        case .settle(let settlement):
            return settle(settlement, error: error)
        }
    }

    private mutating func settle(_ settlement: Settlement, error: HandoffError?) -> OfferOutcome? {
        mustSendCommit = false
        guard let offer = current.take() else { return nil }
        if settlement.endsChannel {
            close(HandoffError(.channelEnded, "the receiver does not read; the channel was closed"))
        }
        var batch = offer.intoBatch()
        batch.keep(settlement.fates.indices.filter { settlement.fates[$0].isReturned })
        return OfferOutcome(settlement: settlement, returned: batch, error: error ?? failure)
    }

    private mutating func send(_ kind: MessageKind, urgently: Bool) -> HandoffSocket.Sending {
        guard socket != nil, let id = current?.id else { return .ended }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(HandoffProtocol.headerSize)
        MessageHeader(kind: kind, version: version, transfer: id).write(to: &bytes)
        return bytes.withUnsafeBytes { urgently ? socket!.sendUrgently($0) : socket!.send($0) }
    }

    // MARK: ends

    private mutating func end() -> OfferOutcome? {
        close(HandoffError(.channelEnded, "the receiver closed the channel or terminated; offer to another"))
        return perform(current?.transfer.channelEnded())
    }

    private mutating func refuse(_ what: String) -> OfferOutcome? {
        fail(HandoffError(.protocolViolation, "the receiver sent \(what); update the older side"))
    }

    /// The channel serves no more; the receiver is told first to let go.
    private mutating func fail(_ error: HandoffError) -> OfferOutcome? {
        let outcome = expire(because: error)
        close(error)
        return outcome
    }

    private mutating func expire(because error: HandoffError) -> OfferOutcome? {
        perform(current?.transfer.timeLimitReached(), error: error)
    }

    private mutating func close(_ error: HandoffError) {
        if failure == nil { failure = error }
        socket = nil
    }
}
