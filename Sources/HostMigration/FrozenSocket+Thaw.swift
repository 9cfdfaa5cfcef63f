import BatonCore
internal import CLinuxSockets
import Libc

extension FrozenSocket {
    /// Brings a fresh socket to ESTABLISHED between the two ends, in repair: no packet is sent.
    func connect(_ descriptor: Int32) throws(MigrationError) {
        // Repair also lets bind(2) pass over a listener or connection that has the port.
        try checked(baton_tcp_set_repair(descriptor, Int32(BATON_REPAIR_ON)), "TCP_REPAIR")
        options.apply(to: descriptor, at: .unbound)
        // Without it the first flight goes out in segments of the default 536 bytes.
        var mss = Int32(min(max(negotiated.mss, 88), 32767))
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_MAXSEG, &mss, socklen_t(MemoryLayout<Int32>.size))
        try setSequence(sendSequence &- (asksForRoundTrip ? 1 : 0), of: Int32(BATON_SEND_QUEUE), descriptor)
        try setSequence(receiveSequence, of: Int32(BATON_RECEIVE_QUEUE), descriptor)
        try bind(descriptor)
        let connected = flow.remote.withSocketAddress(for: socketFamily) { Libc.connect(descriptor, $0, $1) }
        if connected != 0 {
            throw .call("connect \(flow)", errno, errno == EADDRNOTAVAIL ? .addressInUse : .systemCall)
        }
        try checked(
            baton_tcp_set_negotiated(
                descriptor, negotiated.mss, negotiated.usesSACK ? 1 : 0, negotiated.usesTimestamps ? 1 : 0,
                negotiated.sendScale, negotiated.receiveScale),
            "TCP_REPAIR_OPTIONS")
        if negotiated.usesTimestamps {
            try checked(baton_tcp_set_timestamp(descriptor, timestamp &+ clockAdvance), "TCP_TIMESTAMP")
        }
    }

    /// How far the timestamp clock goes ahead. It must never go back (RFC 7323 5.3), and reading it rounds down by up to one.
    /// What is unacknowledged the old host may send once more until the commit, and in other states than these two it may
    /// send an acknowledgement that it has delayed. An odd clock is one of microseconds.
    private var clockAdvance: UInt32 { isSilent ? 2 : timestamp & 1 == 0 ? 250 : 250_000 }

    /// Whether the old host's TCP has nothing to send of its own accord after freezing.
    private var isSilent: Bool {
        (state == .established || state == .closeWait) && sendQueue.count == unsentCount
    }

    /// Restores both queues and the windows of a connected socket in repair.
    func fillQueues(of descriptor: Int32, _ settings: TCPSettings) throws(MigrationError) {
        // The queue's buffers may be cut otherwise here, and then take more of the allowance.
        grow(.receiveBuffer, toHold: receiveQueue.count, descriptor)
        grow(.sendBuffer, toHold: sendQueue.count, descriptor)
        try checked(baton_tcp_select_queue(descriptor, Int32(BATON_RECEIVE_QUEUE)), "TCP_REPAIR_QUEUE")
        try fill(descriptor, receiveQueue, count: receiveQueue.count)
        try checked(baton_tcp_select_queue(descriptor, Int32(BATON_SEND_QUEUE)), "TCP_REPAIR_QUEUE")
        if asksForRoundTrip { try FrozenSocket.write([0], to: descriptor) }
        try fill(descriptor, sendQueue, count: sendQueue.count - unsentCount)
        var raw = window.raw(receivedUpTo: receiveEnd)
        try checked(baton_tcp_set_window(descriptor, &raw), "TCP_REPAIR_WINDOW")
        try checked(baton_tcp_select_queue(descriptor, Int32(BATON_NO_QUEUE)), "TCP_REPAIR_QUEUE")
        var queues = baton_tcp_queues()
        try checked(baton_tcp_get_queues(descriptor, &queues), "SIOCOUTQ")
        guard queues.unsent == 0, Int(queues.unread) == receiveQueue.count,
            Int(queues.unacknowledged) == sendQueue.count - unsentCount + (asksForRoundTrip ? 1 : 0)
        else { throw MigrationError(.restoredDifferently, "\(flow)") }
        restore([.receiveBuffer, .sendBuffer], descriptor)
        keepPromisedWindow(descriptor, settings)
    }

    /// Writes what the peer has never been sent, on a socket that has left repair.
    func sendUnsent(to descriptor: Int32) throws(MigrationError) {
        guard unsentCount > 0 else { return }
        grow(.sendBuffer, toHold: sendQueue.count, descriptor)
        try sendQueue.withBytes { queue throws(MigrationError) in
            try FrozenSocket.write(
                UnsafeRawBufferPointer(rebasing: queue.suffix(unsentCount)), to: descriptor, ignoringEnd: true)
        }
        restore([.sendBuffer], descriptor)
    }

    /// Whether the last byte that the peer has acknowledged is put before the send queue, as sent. The peer acknowledges it
    /// once more when this host's window probe comes, and so the kernel knows the round trip: until then its RTO is 3 s. What
    /// is unacknowledged anyway does the same. The byte's value is of no matter: a peer throws away what it has had. What was
    /// queued in repair is measured by timestamps alone. Nagle's algorithm would make small writes wait for the peer's answer,
    /// which it gives twice a second at most.
    private var asksForRoundTrip: Bool {
        negotiated.usesTimestamps && options.values[.noDelay] == 1 && isSilent
    }

    private func setSequence(_ sequence: UInt32, of queue: Int32, _ descriptor: Int32) throws(MigrationError) {
        try checked(baton_tcp_select_queue(descriptor, queue), "TCP_REPAIR_QUEUE")
        try checked(baton_tcp_set_sequence(descriptor, sequence), "TCP_QUEUE_SEQ")
    }

    private func bind(_ descriptor: Int32) throws(MigrationError) {
        guard flow.local.withSocketAddress(for: socketFamily, { Libc.bind(descriptor, $0, $1) }) != 0 else { return }
        switch errno {
        case EADDRNOTAVAIL: throw .call("bind \(flow.local)", errno, .addressNotLocal)
        case EADDRINUSE: throw .call("bind \(flow.local)", errno, .addressInUse)
        default: throw .call("bind \(flow.local)", errno)
        }
    }

    private func fill(_ descriptor: Int32, _ queue: borrowing ByteQueue, count: Int) throws(MigrationError) {
        try queue.withBytes { bytes throws(MigrationError) in
            try FrozenSocket.write(
                UnsafeRawBufferPointer(rebasing: bytes.prefix(count)), to: descriptor, ignoringEnd: false)
        }
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) throws(MigrationError) {
        let result = bytes.withUnsafeBytes { bytes in
            Result { () throws(MigrationError) in try write(bytes, to: descriptor, ignoringEnd: false) }
        }
        try result.get()
    }

    /// In repair and out of it the kernel takes a part at a time; with memory scarce, only small ones.
    private static func write(
        _ bytes: UnsafeRawBufferPointer, to descriptor: Int32, ignoringEnd: Bool
    ) throws(MigrationError) {
        var offset = 0
        var piece = 65536
        while offset < bytes.count {
            let length = min(piece, bytes.count - offset)
            let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
            let written = send(descriptor, bytes.baseAddress! + offset, length, flags)
            if written > 0 {
                offset += written
                continue
            }
            switch errno {
            case EINTR: continue
            case ENOMEM, EAGAIN, ENOBUFS:
                guard piece > 256 else { throw .call("send", errno, .outOfRoom) }
                piece /= 2
            case EPIPE, ECONNRESET, ETIMEDOUT:
                // The peer ended the connection since; its owner reads that from the socket.
                if ignoringEnd { return }
                throw .call("send", errno)
            default: throw .call("send", errno)
            }
        }
    }

    /// Allows the queue four bytes of accounting for each byte, as small buffers need.
    private func grow(_ option: SocketOption, toHold count: Int, _ descriptor: Int32) {
        guard count > 0 else { return }
        let wanted = Int32(clamping: min(count, 1 << 28) * 4 + (1 << 16))
        if wanted > options.values[option] ?? 0 { _ = option.write(wanted, to: descriptor) }
    }

    /// The peer may send all that the old host promised. Here it can take more memory than it took there: a held segment
    /// comes back in one piece of a power of two, up to twice its length. So the buffer is made to hold that, or the kernel
    /// would drop what is within the window; and the window is kept as large as it was, or it would grow with each move.
    private func keepPromisedWindow(_ descriptor: Int32, _ settings: TCPSettings) {
        let promised = receiveQueue.count + Int(window.receive)
        let bound = 4 * settings.largestReceiveBuffer
        let size = min(2 * promised, bound)
        guard size > Int(options.values[.receiveBuffer] ?? 0) else { return }
        _ = SocketOption.receiveBuffer.write(Int32(clamping: size), to: descriptor)
        if let lock = options.values[.bufferLock] { _ = SocketOption.bufferLock.write(lock, to: descriptor) }
        var clamp = Int32(clamping: promised)
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_WINDOW_CLAMP, &clamp, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Buffer sizes as they were; whether the kernel may go on tuning them, too.
    private func restore(_ sizes: [SocketOption], _ descriptor: Int32) {
        for option in sizes + [.bufferLock] {
            if let value = options.values[option] { _ = option.write(value, to: descriptor) }
        }
    }
}
