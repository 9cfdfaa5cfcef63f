import NIOCore
import Synchronization

/// Who is in which room, across event loops.
final class Rooms: Sendable {
    private let members = Mutex<[String: [ObjectIdentifier: any Channel]]>([:])

    func enter(_ room: String, _ channel: any Channel) {
        members.withLock { $0[room, default: [:]][ObjectIdentifier(channel)] = channel }
    }

    func leave(_ room: String, _ channel: any Channel) {
        members.withLock { rooms in
            rooms[room]?[ObjectIdentifier(channel)] = nil
            if rooms[room]?.isEmpty == true { rooms[room] = nil }
        }
    }

    func say(_ text: String, in room: String) {
        let channels = members.withLock { $0[room].map { Array($0.values) } ?? [] }
        for channel in channels { channel.writeAndFlush(ByteBuffer(string: text + "\n"), promise: nil) }
    }
}
