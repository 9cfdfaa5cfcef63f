import BatonCore
internal import CLinuxSockets
import Libc

extension MovableSocket {
    /// Readings that must differ before freezing gives up. Only packets that were past the hold when it began can
    /// still arrive, so two or three are usual.
    private static let attempts = 64

    /// Puts the socket into repair and reads it. The flow must be held, or what arrives later is acknowledged and lost.
    ///
    /// The socket stays in repair, silent, until `thawInPlace()` or `closeSilently()`. On an error it has left repair
    /// and goes on.
    package func freeze() throws(MigrationError) -> FrozenSocket {
        try checked(baton_tcp_set_repair(descriptor, Int32(BATON_REPAIR_ON)), "TCP_REPAIR")
        do throws(MigrationError) {
            for _ in 0..<MovableSocket.attempts {
                acknowledge()
                let before = try Standstill(of: descriptor)
                if let frozen = try read(at: before) { return frozen }
            }
            throw MigrationError(.unsettled, "\(flow)")
        } catch {
            thawInPlace()
            throw error
        }
    }

    /// Has the kernel send an acknowledgement that it delays. A socket in repair would send it up to 200 ms later, with a later
    /// time than the new host's clock begins at, and the peer would drop what the new host sends (PAWS, RFC 7323 5.3).
    private func acknowledge() {
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_QUICKACK, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Whether nothing has reached the socket since it was frozen. Once it is so the frozen value may be committed.
    package func isUnchanged(since frozen: borrowing FrozenSocket) -> Bool {
        isUnchanged(since: frozen.standstill)
    }

    func isUnchanged(since standstill: Standstill?) -> Bool {
        guard let standstill, let now = try? Standstill(of: descriptor) else { return false }
        return now == standstill
    }

    /// Takes the connection back: leaves repair, with a window probe that makes the peer say where it is.
    package func thawInPlace() {
        _ = baton_tcp_set_repair(descriptor, Int32(BATON_REPAIR_OFF))
        options.apply(to: descriptor, at: .live)
    }

    /// Ends the connection here without a FIN or RST, in every process that has it open, and closes the descriptor.
    /// Only for a socket in repair.
    package func closeSilently() {
        var address = sockaddr()
        address.sa_family = sa_family_t(AF_UNSPEC)
        // Disconnecting acts on the socket itself; close(2) alone would leave it to a duplicate of the descriptor.
        connect(descriptor, &address, socklen_t(MemoryLayout<sockaddr>.size))
        close(descriptor)
    }

    /// Reads everything; nil if a packet arrived meanwhile.
    private func read(at before: Standstill) throws(MigrationError) -> FrozenSocket? {
        guard let state = TCPState(rawValue: before.state), state.isMovable else {
            throw MigrationError(.unmovableState, "\(before.state)")
        }
        try Self.requireNoUrgentData(descriptor)
        var info = baton_tcp_info()
        var queues = baton_tcp_queues()
        var rawWindow = baton_tcp_window()
        var timestamp: UInt32 = 0
        try checked(baton_tcp_get_info(descriptor, &info), "TCP_INFO")
        try checked(baton_tcp_get_window(descriptor, &rawWindow), "TCP_REPAIR_WINDOW")
        let window = SocketWindow(rawWindow)
        var receiveNext: UInt32 = 0
        try checked(baton_tcp_select_queue(descriptor, Int32(BATON_RECEIVE_QUEUE)), "TCP_REPAIR_QUEUE")
        try checked(baton_tcp_get_sequence(descriptor, &receiveNext), "TCP_QUEUE_SEQ")
        let received = try peekReceived(Int(before.unread))
        // The send queue stays selected: a socket in repair runs its timers, and with another queue selected a tail
        // loss probe would send data that this reading says is unsent.
        var sendNext: UInt32 = 0
        try checked(baton_tcp_select_queue(descriptor, Int32(BATON_SEND_QUEUE)), "TCP_REPAIR_QUEUE")
        try checked(baton_tcp_get_sequence(descriptor, &sendNext), "TCP_QUEUE_SEQ")
        try checked(baton_tcp_get_queues(descriptor, &queues), "SIOCOUTQ")
        try checked(baton_tcp_get_timestamp(descriptor, &timestamp), "TCP_TIMESTAMP")
        // A kernel before 6.7 knows no microseconds, and its clock is odd half of the time.
        if info.options & UInt8(BATON_TCP_MICROSECONDS) == 0 { timestamp &= ~1 }
        let unacknowledged = Int(queues.unacknowledged) - (state.hasUnacknowledgedFIN ? 1 : 0)
        let neverSent = Int(queues.unsent) - (state.hasLocalFIN && queues.unsent > 0 ? 1 : 0)
        guard unacknowledged >= 0, neverSent >= 0 else { return nil }
        let written = try peekWritten(unacknowledged)
        let mss = try maximumSegmentSize()
        let unsent = neverSent - window.probe(unsent: neverSent, unacknowledged: unacknowledged, mss: mss)
        let after = try Standstill(of: descriptor)
        guard after == before, let received, let written else { return nil }
        return FrozenSocket(
            flow: flow, state: state,
            negotiated: NegotiatedOptions(
                mss: mss, usesSACK: info.options & UInt8(BATON_TCP_SACK) != 0,
                usesTimestamps: info.options & UInt8(BATON_TCP_TIMESTAMPS) != 0,
                sendScale: info.send_scale, receiveScale: info.receive_scale),
            window: window, options: options, timestamp: timestamp,
            sendSequence: sendNext &- UInt32(written.count) &- (state.hasLocalFIN ? 1 : 0),
            sendQueue: written, unsentCount: unsent,
            receiveSequence: receiveNext &- UInt32(received.count) &- (state.hasRemoteFIN ? 1 : 0),
            receiveQueue: received, socketFamily: socketFamily, standstill: after, companion: nil)
    }

    /// In repair TCP_MAXSEG is what the peer announced in its SYN.
    private func maximumSegmentSize() throws(MigrationError) -> UInt16 {
        var value: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        try checkedErrno(getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_MAXSEG, &value, &size), "TCP_MAXSEG")
        return UInt16(clamping: value)
    }
}
