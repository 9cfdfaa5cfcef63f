internal import BatonCore
internal import HostMigration
internal import Libc
internal import TLSRecords

/// Messages over an established TLS connection, each with its length before it.
struct HostStream: ~Copyable {
    private let owner: Descriptor
    private let socket: HostSocket
    private var connection: Connection
    /// Plaintext that is not yet a whole message.
    private var inbox = ByteQueue()
    private let limit: Int
    private let patience: Duration
    private var sendFailure: MigrationError?
    private var receiveFailure: MigrationError?

    private static let header = 4
    private static let chunk = 1 << 18

    init(_ owner: consuming Descriptor, _ connection: consuming Connection, limit: Int, patience: Duration) {
        socket = HostSocket(owner.number)
        self.owner = owner
        self.connection = connection
        self.limit = min(limit, Int(Int32.max))
        self.patience = patience
    }

    /// After a failed call the two hosts no longer agree on where a message begins, or which of them is an answer to which.
    var failure: MigrationError? { receiveFailure ?? sendFailure }

    // MARK: Sending

    mutating func send(_ message: UnsafeRawBufferPointer) throws(MigrationError) {
        if let sendFailure { throw sendFailure }
        guard message.count <= limit else { throw MigrationError(.outOfRoom, "a message of \(message.count) bytes") }
        do throws(MigrationError) {
            var length: [UInt8] = []
            length.append(bigEndian: UInt32(message.count))
            try protect(length.span.bytes)
            var rest = message[...]
            repeat {
                let chunk = UnsafeRawBufferPointer(rebasing: rest.prefix(HostStream.chunk))
                rest = rest.dropFirst(chunk.count)
                if !chunk.isEmpty { try protect(chunk.bytes) }
                try flush()
            } while !rest.isEmpty
        } catch {
            sendFailure = error
            throw error
        }
    }

    private mutating func protect(_ plaintext: RawSpan) throws(MigrationError) {
        do throws(TLSError) {
            try connection.send(plaintext)
        } catch {
            throw MigrationError(.linkEnded, "\(error)")
        }
    }

    /// Writes what waits. The limit is for no progress at all, since a slow link may make it long.
    mutating func flush() throws(MigrationError) {
        var deadline = Deadline.after(patience)
        while connection.outgoingCount > 0 {
            let count = try writeSome()
            if count > 0 {
                deadline = Deadline.after(patience)
            } else {
                try socket.wait(POLLOUT, until: deadline)
            }
        }
    }

    private mutating func writeSome() throws(MigrationError) -> Int {
        let count = try connection.withOutgoing { (bytes) throws(MigrationError) in try socket.write(bytes) }
        connection.didWrite(count)
        return count
    }

    // MARK: Receiving

    mutating func receive(until deadline: Deadline) throws(MigrationError) -> SecretBytes {
        if let failure { throw failure }
        do throws(MigrationError) {
            while true {
                // The first message can have come with the end of the handshake.
                if connection.inboundCount > 0 { try open() }
                if let message = try nextMessage() { return message }
                if try !read() { try socket.wait(POLLIN, until: deadline) }
            }
        } catch {
            receiveFailure = error
            throw error
        }
    }

    private mutating func nextMessage() throws(MigrationError) -> SecretBytes? {
        let length = inbox.withBytes { bytes -> Int? in
            var reader = WireReader(bytes)
            return reader.uint32().map { Int($0) }
        }
        guard let length else { return nil }
        guard length <= limit else { throw MigrationError(.malformed, "a message of \(length) bytes") }
        guard inbox.count >= HostStream.header + length else { return nil }
        let message = inbox.withBytes { bytes in
            SecretBytes(copying: UnsafeRawBufferPointer(rebasing: bytes[HostStream.header...].prefix(length)).bytes)
        }
        inbox.consume(HostStream.header + length)
        inbox.releaseIfEmpty()
        return message
    }

    /// Returns whether anything was there. What has not arrived is not reserved: a length is only the other host's word.
    private mutating func read() throws(MigrationError) -> Bool {
        var result: Result<Int?, MigrationError> = .success(nil)
        connection.receive(upTo: 1 << 16) { space in
            result = Result { () throws(MigrationError) in try socket.read(into: space) }
            return (try? result.get()) ?? 0
        }
        return try result.get() != nil
    }

    private mutating func open() throws(MigrationError) {
        var isEnded = false
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
            throw MigrationError(.linkEnded, "\(error)")
        }
        if isEnded { throw MigrationError(.linkEnded) }
    }

    /// Waits until something has come, or the link has ended, or `wake` is readable; returns whether it was not the last.
    func awaitBytes(unless wake: Int32) -> Bool {
        guard inbox.isEmpty, connection.inboundCount == 0, failure == nil else { return true }
        var polled = [
            pollfd(fd: wake, events: Int16(POLLIN), revents: 0),
            pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        while poll(&polled, 2, -1) < 0 {}
        return polled[0].revents == 0
    }
}
