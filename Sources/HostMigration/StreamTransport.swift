public import BatonCore
internal import Libc

/// Messages over a connected stream socket: each with its length, 32 bits big-endian, before it.
///
/// It protects nothing. It serves between processes of one host, and beneath TLS.
public final class StreamTransport: MigrationTransport {
    private let descriptor: Descriptor
    private let limit: Int
    private let sendLimit: Duration

    /// Takes the connected descriptor over and makes it non-blocking. A message longer than `limit` bytes (1 GiB unless
    /// set) is refused, and a message that the other side does not take within `sendLimit` ends the link.
    public init(owning descriptor: Int32, limit: Int = 1 << 30, sendLimit: Duration = .seconds(5)) {
        self.descriptor = Descriptor(owning: descriptor)
        self.limit = limit
        self.sendLimit = sendLimit
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, 4)
    }

    /// Sends one message; see `MigrationTransport`.
    public func send(_ message: RawSpan) throws(MigrationError) {
        guard message.byteCount <= limit else {
            throw MigrationError(.outOfRoom, "message of \(message.byteCount) bytes")
        }
        let length = UInt32(clamping: message.byteCount).bigEndian
        let deadline = Deadline.after(sendLimit)
        // One segment for a small message: the other host wakes once.
        try withUnsafeBytes(of: length) { bytes throws(MigrationError) in
            try write(bytes, more: message.byteCount > 0, deadline)
        }
        try message.withUnsafeBytes { bytes throws(MigrationError) in try write(bytes, more: false, deadline) }
    }

    /// Receives the next message; see `MigrationTransport`.
    public func receive(within time: Duration?) throws(MigrationError) -> SecretBytes {
        let deadline = time.map(Deadline.after) ?? .never
        var length: UInt32 = 0
        try withUnsafeMutableBytes(of: &length) { bytes throws(MigrationError) in try read(bytes, deadline) }
        let count = Int(UInt32(bigEndian: length))
        guard count <= limit else { throw MigrationError(.malformed, "message of \(count) bytes") }
        var message = ByteQueue()
        // What has not arrived is not reserved: a length is only the peer's word.
        while message.count < count {
            let part = min(count - message.count, max(1 << 20, message.count))
            try message.append(minimum: part) { space throws(MigrationError) in
                try read(UnsafeMutableRawBufferPointer(rebasing: space[..<part]), deadline)
                return part
            }
        }
        return message.withBytes { SecretBytes(copying: $0.bytes) }
    }

    private func write(
        _ bytes: UnsafeRawBufferPointer, more: Bool, _ deadline: Deadline
    ) throws(MigrationError) {
        var offset = 0
        let flags = Int32(MSG_NOSIGNAL) | (more ? Int32(MSG_MORE) : 0)
        while offset < bytes.count {
            let written = Libc.send(descriptor.number, bytes.baseAddress! + offset, bytes.count - offset, flags)
            if written > 0 {
                offset += written
            } else if errno == EAGAIN {
                try wait(Int16(POLLOUT), deadline)
            } else if errno != EINTR {
                throw .call("send", errno, .linkEnded)
            }
        }
    }

    private func read(_ target: UnsafeMutableRawBufferPointer, _ deadline: Deadline) throws(MigrationError) {
        var offset = 0
        while offset < target.count {
            let count = recv(descriptor.number, target.baseAddress! + offset, target.count - offset, 0)
            if count > 0 {
                offset += count
            } else if count == 0 {
                throw MigrationError(.linkEnded)
            } else if errno == EAGAIN {
                try wait(Int16(POLLIN), deadline)
            } else if errno != EINTR {
                throw .call("recv", errno, .linkEnded)
            }
        }
    }

    private func wait(_ events: Int16, _ deadline: Deadline) throws(MigrationError) {
        var request = pollfd(fd: descriptor.number, events: events, revents: 0)
        if poll(&request, 1, deadline.pollTimeout) == 0, deadline.hasPassed { throw MigrationError(.timedOut) }
    }
}
