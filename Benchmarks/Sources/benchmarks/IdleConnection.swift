import Handoff
import TLSRecords

/// A connection that waits, with its socket: arrays hold no noncopyable elements.
final class IdleConnection {
    var connection: Connection?
    let socket: Int32

    init(_ connection: consuming Connection) {
        self.connection = consume connection
        socket = -1
    }

    /// Many are made from one snapshot, which no program may do that lets them encrypt: here nobody sends anything.
    init(_ snapshot: borrowing SecretBytes, on socket: Int32) throws {
        connection = Connection(
            resuming: try snapshot.withUnsafeBytes { (bytes) throws(SnapshotError) in
                try Snapshot(decoding: bytes.bytes)
            })
        self.socket = socket
    }

    /// What an owner does before it offers the connection.
    func parcel() -> Parcel? {
        guard let connection = connection.take() else { return nil }
        var sockets = DescriptorSet(owning: socket)
        sockets.recordWritePositions()
        return Parcel(snapshot: connection.suspend(), sockets: sockets)
    }
}
