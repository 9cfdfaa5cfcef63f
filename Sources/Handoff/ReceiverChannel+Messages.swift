internal import BatonCore
internal import TLSRecords

extension ReceiverChannel {
    /// What came beside a message's bytes. Descriptors nobody takes are closed with it.
    struct Message: ~Copyable {
        var descriptors: DescriptorSet
        let lostDescriptors: Bool
        /// The kernel says that the process the pidfd stands for sent it.
        let isAttested: Bool
    }

    mutating func handle(
        _ bytes: UnsafeRawBufferPointer, _ message: inout Message
    ) throws(HandoffError) -> ReceiverTransfer.Action? {
        var reader = WireReader(bytes)
        guard let header = MessageHeader.read(&reader) else { throw refuse("a message of unknown form") }
        let announced = Int(header.descriptorCount)
        guard
            message.descriptors.count == announced || (message.lostDescriptors && message.descriptors.count < announced)
        else { throw refuse("\(message.descriptors.count) descriptors with a message that announces \(announced)") }
        switch header.kind {
        case .offer: return try handleOffer(header, &reader, &message)
        case .chunk: return try handleChunk(header, &reader, &message)
        case .commit, .cancel:
            guard reader.isAtEnd, announced == 0 else { throw refuse("a message of wrong length") }
            // Of another transfer: a cancel of one that was declined, or of one that never got here.
            guard header.transfer == incoming?.id else { return nil }
            return header.kind == .commit ? incoming?.transfer.committed() : incoming?.transfer.cancelled()
        case .hello, .accept, .decline, .committed:
            throw refuse("a message only a receiver sends; both ends of this channel are receivers")
        }
    }

    private mutating func handleOffer(
        _ header: MessageHeader, _ reader: inout WireReader, _ message: inout Message
    ) throws(HandoffError) -> ReceiverTransfer.Action? {
        guard incoming == nil || incoming?.transfer.isOver == true else { throw refuse("an offer within another") }
        guard let announced = IncomingOffer.Announcement.read(&reader) else { throw refuse("an impossible offer") }
        incoming = IncomingOffer(id: header.transfer, announced: announced)
        if announced.bytes > options.largestOffer || announced.descriptors > options.maxDescriptors {
            return incoming?.transfer.unreadable(.tooLarge)
        }
        return try gather(&reader, &message)
    }

    private mutating func handleChunk(
        _ header: MessageHeader, _ reader: inout WireReader, _ message: inout Message
    ) throws(HandoffError) -> ReceiverTransfer.Action? {
        // Of an offer that was declined before all of it was here.
        guard header.transfer == incoming?.id, incoming?.transfer.isOver == false else { return nil }
        guard let offset = reader.uint64(), incoming?.gatheredCount == Int(exactly: offset) else {
            throw refuse("a piece of an offer out of place")
        }
        return try gather(&reader, &message)
    }

    private mutating func gather(
        _ reader: inout WireReader, _ message: inout Message
    ) throws(HandoffError) -> ReceiverTransfer.Action? {
        guard !message.lostDescriptors else { return incoming?.transfer.unreadable(.descriptorsLost) }
        guard let piece = reader.bytes(reader.remaining), incoming?.isComplete == false else {
            throw refuse("a piece of an offer that was complete")
        }
        if !message.isAttested { incoming?.isAttested = false }
        var descriptors = DescriptorSet()
        swap(&descriptors, &message.descriptors)
        guard incoming?.gather(piece, descriptors) == true else {
            throw refuse("more of an offer than it announced")
        }
        return incoming?.isComplete == true ? incoming?.transfer.completed() : nil
    }

    mutating func refuse(_ what: String) -> HandoffError {
        fail(HandoffError(.protocolViolation, "the owner sent \(what); update the older side"))
    }
}
