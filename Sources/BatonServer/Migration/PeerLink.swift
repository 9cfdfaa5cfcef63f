internal import BatonCore
internal import HostMigration
internal import Libc
internal import TLSHandshake
internal import TLSRecords

/// The TLS connection to the migration process of another host, as framed messages. Blocking calls have time limits;
/// `step` does what is possible at once, for a loop that watches other descriptors, too. For one thread.
final class PeerLink {
    let descriptor: CInt
    private var connection: Connection
    /// Plaintext that is not yet a whole frame.
    private var inbox = ByteQueue()
    private var bucket: TokenBucket
    private var isEnded = false

    /// How much may wait to be written before a loop should not add more.
    private static let highWater = 1 << 20

    /// A frame's kind and body, zeroed after use.
    final class Frame {
        let kind: LinkFrame
        private let body: ByteQueue

        init(_ kind: LinkFrame, _ body: consuming ByteQueue) {
            self.kind = kind
            self.body = body
        }

        var count: Int { body.count }

        func withBytes<R>(_ read: (UnsafeRawBufferPointer) throws -> R) rethrows -> R { try body.withBytes(read) }
    }

    /// Takes the connected, non-blocking socket over.
    init(_ descriptor: CInt, _ connection: consuming Connection, bandwidth: Int?) {
        self.descriptor = descriptor
        self.connection = connection
        bucket = TokenBucket(rate: bandwidth, now: MonotonicTime.now)
    }

    deinit { close(descriptor) }

    // MARK: For loops

    /// How much waits to be written, in bytes.
    var waiting: Int { connection.outgoingCount }

    /// Whether more frames should be sent now.
    var hasRoom: Bool { connection.outgoingCount < Self.highWater }

    /// What to poll the descriptor for, and how long at most, in milliseconds (-1: for ever).
    func interest() -> (events: Int16, limit: Int32) {
        guard connection.outgoingCount > 0 else { return (Int16(POLLIN), -1) }
        let delay = bucket.delay(now: MonotonicTime.now)
        guard delay > 0 else { return (Int16(POLLIN | POLLOUT), -1) }
        return (Int16(POLLIN), Int32(clamping: delay / 1_000_000 + 1))
    }

    /// Queues a frame.
    func queue(_ kind: LinkFrame, _ body: UnsafeRawBufferPointer) throws(LinkError) {
        guard body.count <= kind.limit else { throw .violation }
        var header: [UInt8] = [kind.rawValue]
        header.append(bigEndian: UInt32(body.count))
        do throws(TLSError) {
            try connection.send(header.span.bytes)
            if !body.isEmpty { try connection.send(body.bytes) }
        } catch {
            throw .ended
        }
    }

    func queue(_ kind: LinkFrame, _ body: [UInt8] = []) throws(LinkError) {
        let result = body.withUnsafeBytes { bytes in
            Result { () throws(LinkError) in try queue(kind, bytes) }
        }
        try result.get()
    }

    /// Writes and reads what is possible without waiting.
    func step() throws(LinkError) {
        try write()
        try read()
    }

    /// The next whole frame that has been read, if there is one.
    func nextFrame() throws(LinkError) -> Frame? {
        // The first of the peer's frames can have come with the end of its handshake.
        if connection.inboundCount > 0 { try open() }
        let header = inbox.withBytes { bytes -> (UInt8, Int)? in
            var reader = WireReader(bytes)
            guard let kind = reader.uint8(), let length = reader.uint32() else { return nil }
            return (kind, Int(length))
        }
        guard let (number, length) = header else { return try nothing() }
        guard let kind = LinkFrame(rawValue: number), length <= kind.limit else { throw .violation }
        guard inbox.count >= LinkProtocol.header + length else { return try nothing() }
        let body = inbox.withBytes { bytes in
            ByteQueue(
                copying: UnsafeRawBufferPointer(rebasing: bytes[LinkProtocol.header..<LinkProtocol.header + length]))
        }
        inbox.consume(LinkProtocol.header + length)
        return Frame(kind, body)
    }

    /// What was sent before the end is read before it.
    private func nothing() throws(LinkError) -> Frame? {
        if isEnded { throw .ended }
        return nil
    }

    // MARK: Blocking

    /// Waits for the next frame, and writes meanwhile what waits to be written.
    func receive(within time: Duration = LinkProtocol.patience) throws(LinkError) -> Frame {
        let deadline = Deadline.after(time)
        while true {
            if let frame = try nextFrame() { return frame }
            try wait(until: deadline)
            try step()
        }
    }

    /// Writes everything that waits. The limit is for no progress at all, since a bandwidth limit may make it long.
    func flush(within time: Duration = LinkProtocol.patience) throws(LinkError) {
        var left = connection.outgoingCount
        var deadline = Deadline.after(time)
        try write()
        while connection.outgoingCount > 0 {
            if connection.outgoingCount < left {
                left = connection.outgoingCount
                deadline = Deadline.after(time)
            }
            try wait(until: deadline)
            try step()
        }
    }

    private func wait(until deadline: Deadline) throws(LinkError) {
        guard !deadline.hasPassed else { throw .silent }
        let (events, limit) = interest()
        let left = deadline.pollTimeout
        var request = pollfd(fd: descriptor, events: events, revents: 0)
        _ = poll(&request, 1, limit < 0 ? left : min(limit, left))
    }

    // MARK: Bytes

    private func write() throws(LinkError) {
        while connection.outgoingCount > 0, bucket.delay(now: MonotonicTime.now) == 0 {
            let count = connection.withOutgoing { bytes in
                bytes.withUnsafeBytes { send(descriptor, $0.baseAddress, min($0.count, 1 << 18), Int32(MSG_NOSIGNAL)) }
            }
            if count > 0 {
                bucket.spend(count)
                connection.didWrite(count)
            } else if errno == EAGAIN {
                return
            } else if errno != EINTR {
                throw .ended
            }
        }
    }

    private func read() throws(LinkError) {
        // What has not been looked at is bounded by the longest frame.
        while !isEnded, inbox.count <= LinkProtocol.longestParcel {
            var count = 0
            connection.receive(upTo: 1 << 16) { space in
                count = recv(descriptor, space.baseAddress, space.count, 0)
                return max(0, count)
            }
            let code = errno
            if count > 0 {
                try open()
            } else if count < 0, code == EAGAIN {
                return
            } else if count == 0 || code != EINTR {
                isEnded = true
                return
            }
        }
    }

    private func open() throws(LinkError) {
        do throws(TLSError) {
            while let event = try connection.nextEvent() {
                switch event {
                case .applicationData(let count):
                    connection.withUnread { bytes in bytes.withUnsafeBytes { inbox.append($0) } }
                    connection.consumeUnread(count)
                case .keyUpdate, .sessionTicket: continue
                case .closeNotify: isEnded = true
                }
            }
        } catch {
            throw .ended
        }
    }
}
