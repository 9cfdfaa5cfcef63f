import BatonCore
internal import CLinuxSockets
import Libc

/// A connection restored from a `FrozenSocket` and still silent: it stands in the kernel's tables, so that packets of
/// its flow find it, and sends nothing of its own.
///
/// Dropping the value discards the connection without a FIN or RST. `activate()` makes this host its owner.
package struct ThawedSocket: ~Copyable, Sendable {
    private let descriptor: Descriptor
    private let frozen: FrozenSocket
    private let injector: SegmentInjector?

    /// Both ends of the connection.
    package var flow: Flow { frozen.flow }

    /// For when it may be nobody's.
    var probe: PeerProbe { PeerProbe(frozen) }

    /// Restores the connection on this host, which must carry its local address, and need not answer for it. `settings` are
    /// those of the network namespace.
    ///
    /// - Throws: `.addressNotLocal`, `.addressInUse`, `.timestampsOff`, `.outOfRoom`, `.notPermitted`,
    ///   `.restoredDifferently` or `.systemCall`; nothing is left behind then.
    package init(
        restoring frozen: consuming FrozenSocket, settings: TCPSettings = TCPSettings()
    ) throws(MigrationError) {
        let kind = SocketKind.stream | SocketKind.closeOnExec | SocketKind.nonBlocking
        let number = socket(frozen.socketFamily.number, kind, Int32(IPPROTO_TCP))
        let descriptor = Descriptor(owning: try checkedErrno(number, "socket"))
        // Made now because nothing may fail for want of permission or memory after the commit.
        let injector = frozen.state.needsInjection ? try SegmentInjector(family: frozen.flow.family) : nil
        // The kernel fixes the length of a header by this setting when a socket connects.
        if frozen.negotiated.usesTimestamps, !settings.usesTimestamps { throw MigrationError(.timestampsOff) }
        try frozen.connect(descriptor.number)
        try frozen.fillQueues(of: descriptor.number, settings)
        frozen.options.apply(to: descriptor.number, at: .connected)
        self.descriptor = descriptor
        self.frozen = frozen
        self.injector = injector
    }

    /// Leaves repair and sends what had not been sent. Only after the commit.
    ///
    /// Returns the descriptor, which is the caller's. If the kernel cannot take the bytes that were waiting, the
    /// connection is reset and the error thrown: it never goes on with a hole in its stream.
    package consuming func activate() throws(MigrationError) -> Int32 {
        let number = descriptor.number
        let state = frozen.state
        if state == .finWait2 {
            // With the send queue selected in repair, the FIN counts as sent and stays here.
            try checked(baton_tcp_select_queue(number, Int32(BATON_SEND_QUEUE)), "TCP_REPAIR_QUEUE")
            shutdown(number, Int32(SHUT_WR))
        }
        try checked(baton_tcp_set_repair(number, Int32(BATON_REPAIR_OFF)), "TCP_REPAIR")
        do throws(MigrationError) {
            try frozen.sendUnsent(to: number)
            switch state {
            case .finWait1:
                shutdown(number, Int32(SHUT_WR))
            case .finWait2:
                try injector?.send(frozen.acknowledgementOfFIN, to: frozen.flow)
            case .closeWait:
                try injector?.send(frozen.remoteFIN, to: frozen.flow)
            case .lastAck:
                try injector?.send(frozen.remoteFIN, to: frozen.flow)
                shutdown(number, Int32(SHUT_WR))
            case .closing:
                shutdown(number, Int32(SHUT_WR))
                try injector?.send(frozen.remoteFIN, to: frozen.flow)
            default:
                break
            }
        } catch {
            var abort = linger(l_onoff: 1, l_linger: 0)
            setsockopt(number, SOL_SOCKET, SO_LINGER, &abort, socklen_t(MemoryLayout<linger>.size))
            throw error
        }
        frozen.options.apply(to: number, at: .live)
        if !frozen.options.isNonBlocking {
            let flags = fcntl(number, F_GETFL)
            _ = fcntl(number, F_SETFL, flags & ~O_NONBLOCK)
        }
        return takeDescriptor()
    }

    private consuming func takeDescriptor() -> Int32 {
        descriptor.release()
    }
}

extension TCPState {
    /// Whether the kernel reaches this state only by a segment from the peer.
    var needsInjection: Bool { hasRemoteFIN || self == .finWait2 }
}
