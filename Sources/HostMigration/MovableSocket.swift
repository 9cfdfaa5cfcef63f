internal import BatonCore
internal import CLinuxSockets
import Libc

/// A connected TCP socket that was examined and found fit to move.
///
/// Examining asks for everything that does not change while packets flow: it is done before the flow is held, so that
/// it costs the peer nothing. The descriptor remains the caller's until `closeSilently()`.
public struct MovableSocket: Sendable {
    /// The socket.
    public let descriptor: Int32
    /// Both ends of its connection.
    public let flow: Flow
    /// Its options, as they were when it was examined.
    package let options: SocketOptions

    /// Family of the socket, which is IPv6 for the IPv4 connections of a dual-stack listener.
    let socketFamily: IPAddress.Family

    /// Throws the reason if the connection cannot move; it is not touched then.
    public init(examining descriptor: Int32) throws(MigrationError) {
        try MovableSocket.requireTCP(descriptor)
        let local = try Endpoint.read(.local, of: descriptor)
        let state = try TCPState(of: descriptor)
        guard state.isMovable else { throw MigrationError(.unmovableState, "\(state)") }
        let remote = try Endpoint.read(.remote, of: descriptor)
        guard let flow = Flow(local: local.endpoint, remote: remote.endpoint) else { throw MigrationError(.notTCP) }
        guard !flow.local.address.isLinkLocal, !flow.remote.address.isLinkLocal else {
            throw MigrationError(.scopedAddress, "\(flow)")
        }
        try MovableSocket.requireUnbound(descriptor)
        try MovableSocket.requirePlain(descriptor, flow: flow, family: local.socketFamily)
        try MovableSocket.requireNoUrgentData(descriptor)
        self.descriptor = descriptor
        self.flow = flow
        socketFamily = local.socketFamily
        options = try SocketOptions(reading: descriptor, family: local.socketFamily)
    }

    private static func requireTCP(_ descriptor: Int32) throws(MigrationError) {
        var number: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        try checkedErrno(getsockopt(descriptor, SOL_SOCKET, SO_PROTOCOL, &number, &size), "SO_PROTOCOL", .notTCP)
        // IPPROTO_MPTCP
        if number == 262 { throw MigrationError(.multipath) }
        guard number == Int32(IPPROTO_TCP) else { throw MigrationError(.notTCP, "protocol \(number)") }
    }

    private static func requireUnbound(_ descriptor: Int32) throws(MigrationError) {
        var name = [CChar](repeating: 0, count: Int(IFNAMSIZ))
        var size = socklen_t(name.count)
        if getsockopt(descriptor, SOL_SOCKET, SO_BINDTODEVICE, &name, &size) == 0, size > 0 {
            throw MigrationError(.boundToDevice)
        }
    }

    private static func requirePlain(
        _ descriptor: Int32, flow: Flow, family: IPAddress.Family
    ) throws(MigrationError) {
        var diagnosis = baton_tcp_diagnosis()
        // A dual-stack socket is listed as IPv6 with mapped addresses, and found by its IPv4 ones too.
        let result = baton_tcp_diagnose(
            flow.family.number, flow.local.address.octets, flow.local.port, flow.remote.address.octets,
            flow.remote.port, &diagnosis)
        try checked(result, "sock_diag")
        if diagnosis.has_md5 != 0 { throw MigrationError(.md5Signatures) }
        if diagnosis.upper_layer != 0 { throw MigrationError(.upperLayerProtocol) }
        if baton_tcp_has_ao(descriptor) == 1 { throw MigrationError(.authenticationOption) }
    }

    static func requireNoUrgentData(_ descriptor: Int32) throws(MigrationError) {
        var request = pollfd(fd: descriptor, events: Int16(POLLPRI), revents: 0)
        if poll(&request, 1, 0) > 0, request.revents & Int16(POLLPRI) != 0 {
            throw MigrationError(.urgentData)
        }
    }
}

extension TCPState {
    /// Asks the kernel.
    init(of descriptor: Int32) throws(MigrationError) {
        var info = baton_tcp_info()
        try checked(baton_tcp_get_info(descriptor, &info), "TCP_INFO", .notTCP)
        guard let state = TCPState(rawValue: info.state) else {
            throw MigrationError(.unmovableState, "\(info.state)")
        }
        self = state
    }
}
