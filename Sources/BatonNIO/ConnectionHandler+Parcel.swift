internal import Handoff
internal import NIOCore
internal import TLSRecords

extension ConnectionHandler {
    /// A connection from a parcel, whose socket becomes the channel's. `nil` if the parcel has been taken.
    convenience init?(_ detached: DetachedConnection, options: ConnectionOptions) {
        guard var parcel = detached.take() else { return nil }
        var metadata = parcel.metadata
        let suspendedAt = SuspensionTime.take(&metadata)
        let isClosing = metadata.annotations.removeValue(forKey: Annotation.closing) != nil
        let output = Annotation.output(metadata.annotations.removeValue(forKey: Annotation.outputClosed))
        if let snapshot = parcel.snapshot.take() {
            self.init(
                ProtocolLayer(Connection(resuming: snapshot)), inbound: InboundQueue(returned: parcel.unread),
                ending: CloseSequence(isClosing: isClosing), options: options, metadata: metadata)
            // A record that a former owner opened and did not hand on is received here.
            if layer.unreadCount > 0 { recordsReceived = 1 }
        } else {
            var outbound = OutboundQueue<EventLoopPromise<Void>>(window: options.writeWindow)
            if !parcel.unsent.isEmpty { outbound.append(ByteBuffer(bytes: parcel.unsent), nil) }
            self.init(
                ProtocolLayer(), outbound: outbound, inbound: InboundQueue(received: parcel.received),
                ending: CloseSequence(isClosing: isClosing, output: output), options: options, metadata: metadata)
        }
        self.suspendedAt = suspendedAt
    }
}
