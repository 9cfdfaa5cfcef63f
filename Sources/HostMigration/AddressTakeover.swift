public import BatonCore
internal import CLinuxSockets

/// Which host of a link answers for a service address.
///
/// Every host that may take connections over carries the address on `lo`, and answers for none it has there
/// (`arp_ignore=1`, `arp_announce=2`; IPv6 does so by itself). The one host that serves has the address on the link's
/// interface too. So the address can move while sockets on both hosts are bound to it. Where keepalived moves the
/// address, this type is not needed.
///
/// It acts in the network namespace of the calling thread.
public struct AddressTakeover: ~Copyable {
    /// The interface on the link that the address is on.
    public let interface: String

    private let socket: Descriptor
    private let index: Int32
    private let hardwareAddress: [UInt8]

    /// - Throws: `.notPermitted`, or `.systemCall` if there is no such interface.
    public init(interface: String) throws(MigrationError) {
        var index: Int32 = 0
        var address = [UInt8](repeating: 0, count: 6)
        try checked(baton_interface_get(interface, &index, &address), interface)
        socket = Descriptor(owning: try checked(baton_packet_socket(), "packet socket"))
        self.interface = interface
        self.index = index
        hardwareAddress = address
    }

    /// Makes this host answer for the address, and tells the link so. The host that had it should `give` it first; until
    /// then both answer, and the last word counts.
    public borrowing func take(_ address: IPAddress) throws(MigrationError) {
        try change(address, adding: true)
        try announce(address)
    }

    /// Stops answering for the address. Sockets bound to it live on, for `lo` still has it.
    public borrowing func give(_ address: IPAddress) throws(MigrationError) {
        try change(address, adding: false)
    }

    /// Tells every host and switch on the link that the address is here. A link may lose it: say it again after a
    /// second or so (RFC 5227 2.3 asks for two, RFC 4861 7.2.6 allows three).
    public borrowing func announce(_ address: IPAddress) throws(MigrationError) {
        for frame in NeighbourAnnouncement(address: address, hardwareAddress: hardwareAddress).frames {
            let type = UInt16(frame[12]) << 8 | UInt16(frame[13])
            try checked(baton_packet_send(socket.number, index, type, frame, frame.count), "announce \(address)")
        }
    }

    private borrowing func change(_ address: IPAddress, adding: Bool) throws(MigrationError) {
        let result = baton_address_change(
            adding ? 1 : 0, address.family.number, address.octets, Int32(address.octets.count * 8), index)
        try checked(result, "\(adding ? "add" : "remove") \(address)")
    }
}
