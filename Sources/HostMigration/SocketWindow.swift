internal import CLinuxSockets

/// Both windows of a connection, in bytes after scaling, as TCP_REPAIR_WINDOW carries them.
package struct SocketWindow: Sendable, Equatable {
    /// Sequence number of the segment that last updated the send window (SND.WL1, RFC 9293 3.3.1).
    package var lastUpdate: UInt32
    /// What the peer allows us to have in flight (SND.WND).
    package var send: UInt32
    /// The largest send window the peer has offered.
    package var largestSend: UInt32
    /// What we last allowed the peer (RCV.WND), counted from `lastAdvertised`.
    package var receive: UInt32
    /// RCV.NXT when we last advertised our window.
    package var lastAdvertised: UInt32

    /// Windows as the kernel reports them.
    package init(lastUpdate: UInt32, send: UInt32, largestSend: UInt32, receive: UInt32, lastAdvertised: UInt32) {
        self.lastUpdate = lastUpdate
        self.send = send
        self.largestSend = largestSend
        self.receive = receive
        self.lastAdvertised = lastAdvertised
    }
}

extension SocketWindow {
    /// How many unsent bytes the kernel may send although the socket is in repair, whenever its persist timer fires (RFC 9293
    /// 3.8.6.1): what the peer's window has room for, where that is less than a segment and nothing is in flight. The new host
    /// counts them as sent. If they were not it sends them once more; if they were, it would throw away every acknowledgement
    /// of them, for ever. With room for a segment the new host sends as much at once.
    func probe(unsent: Int, unacknowledged: Int, mss: UInt16) -> Int {
        unsent == unacknowledged && send < UInt32(mss) ? min(unsent, Int(send)) : 0
    }

    init(_ raw: baton_tcp_window) {
        self.init(
            lastUpdate: raw.last_update, send: raw.send_window, largestSend: raw.largest_window,
            receive: raw.receive_window, lastAdvertised: raw.last_advertised)
    }

    /// What TCP_REPAIR_WINDOW accepts for a socket that has received up to `next`: the largest window is no smaller
    /// than the current one, and the last advertisement is not in the future. The right edge the peer was promised
    /// stays where it was.
    func raw(receivedUpTo next: UInt32) -> baton_tcp_window {
        var advertised = lastAdvertised
        var receive = receive
        if Int32(bitPattern: advertised &- next) > 0 {
            receive &+= advertised &- next
            advertised = next
        }
        return baton_tcp_window(
            last_update: lastUpdate, send_window: send, largest_window: max(largestSend, send),
            receive_window: receive, last_advertised: advertised)
    }
}
