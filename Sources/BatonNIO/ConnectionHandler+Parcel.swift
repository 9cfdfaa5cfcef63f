internal import Handoff
internal import NIOCore
internal import TLSRecords

extension ConnectionHandler {
    /// A connection from a parcel, whose socket becomes the channel's. `nil` if the parcel has been taken.
    convenience init?(_ detached: DetachedConnection, options: ConnectionOptions) {
        guard var parcel = detached.take() else { return nil }
        var metadata = parcel.metadata
        let isClosing = metadata.annotations.removeValue(forKey: Annotation.closing) != nil
        let outputClosed = metadata.annotations.removeValue(forKey: Annotation.outputClosed)
        if let snapshot = parcel.snapshot.take() {
            self.init(Connection(resuming: snapshot), options: options, metadata: metadata)
            // A record that a former owner opened and did not hand on is received here.
            if let unread = connection?.unreadCount, unread > 0 { recordsReceived = 1 }
        } else {
            self.init(plain: options, metadata: metadata)
            if !parcel.received.isEmpty { received.append(ByteBuffer(bytes: parcel.received)) }
            if !parcel.unsent.isEmpty {
                plain.append(ByteBuffer(bytes: parcel.unsent))
                plainCount = parcel.unsent.count
            }
            closesOutput = outputClosed != nil
            hasClosedOutput = outputClosed == [2]
        }
        if isClosing { closing = .writing }
    }
}
