internal import CLinuxSockets
import Libc

/// Ending a connection at once, so that its peer is told.
package enum SocketReset {
    /// Closes the descriptor with a RST.
    package static func close(_ descriptor: Int32) {
        var abort = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &abort, socklen_t(MemoryLayout<linger>.size))
        Libc.close(descriptor)
    }

    /// As `close`, of a socket that may be in repair, where closing says nothing.
    static func closeFromRepair(_ descriptor: Int32) {
        _ = baton_tcp_set_repair(descriptor, Int32(BATON_REPAIR_OFF_SILENTLY))
        close(descriptor)
    }
}
