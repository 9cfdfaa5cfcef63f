internal import CLinuxSockets

/// What changes when a packet of the connection reaches its socket, or the socket sends new data. Two equal readings
/// mean that nothing happened between them.
struct Standstill: Equatable, Sendable {
    let state: UInt8
    let segmentsIn: UInt32
    let bytesReceived: UInt64
    let bytesAcknowledged: UInt64
    let unread: Int32
    let unacknowledged: Int32
    /// Of these never sent, if there is nothing else among them; 0 otherwise. A socket in repair whose timer has nothing to
    /// repeat probes the peer's window with new bytes, if that is open at all. One with bytes in flight repeats those; new ones
    /// that it counts as sent then have not left.
    let unsent: Int32

    init(of descriptor: Int32) throws(MigrationError) {
        var info = baton_tcp_info()
        var queues = baton_tcp_queues()
        try checked(baton_tcp_get_info(descriptor, &info), "TCP_INFO")
        try checked(baton_tcp_get_queues(descriptor, &queues), "SIOCOUTQ")
        state = info.state
        segmentsIn = info.segments_in
        bytesReceived = info.bytes_received
        bytesAcknowledged = info.bytes_acknowledged
        unread = queues.unread
        unacknowledged = queues.unacknowledged
        unsent = queues.unsent == queues.unacknowledged ? queues.unsent : 0
    }
}
