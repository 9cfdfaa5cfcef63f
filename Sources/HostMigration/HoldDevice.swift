internal import CLinuxSockets
import Libc

/// Where held packets wait: a TAP device, whose queue is in the kernel and lives no longer than this value.
///
/// A frame that is written back enters the host by the device, where the forwarding rules of `FlowSteering` see it
/// before the host's sockets do. The one in a network namespace is also the lock: a second Baton finds it busy.
package struct HoldDevice: ~Copyable {
    /// The device's name.
    package static let name = "baton-hold"

    /// How many frames can wait: what 500 connections with a window of 64 KiB can have in flight.
    static let queueLength = 32768

    private let descriptor: Descriptor
    private let address: [UInt8]
    private let buffer: UnsafeMutableRawBufferPointer

    /// - Throws: `.deviceBusy`, `.notPermitted`, `.systemCall`.
    package init() throws(MigrationError) {
        var address = [UInt8](repeating: 0, count: 6)
        let number = baton_tap_open(HoldDevice.name, Int32(HoldDevice.queueLength), &address)
        if number == -EBUSY { throw .call(HoldDevice.name, EBUSY, .deviceBusy) }
        let descriptor = Descriptor(owning: try checked(number, HoldDevice.name))
        // Strict reverse path filtering would drop what comes back from here: the peer's address is behind another
        // interface. The setting of all interfaces, if it is strict, still wins; `requireOpenPath` reports that.
        try? NetworkSetting(path: "ipv4/conf/\(HoldDevice.name)/rp_filter").set(0)
        try HoldDevice.requireOpenPath()
        self.descriptor = descriptor
        self.address = address
        buffer = .allocate(byteCount: 1 << 17, alignment: 16)
    }

    deinit {
        buffer.deallocate()
    }

    /// A descriptor that polls readable while frames wait.
    package var pollDescriptor: Int32 { descriptor.number }

    /// Sends the frames that wait, in their order, back into the host, and returns how many.
    package borrowing func releaseWaiting() throws(MigrationError) -> Int {
        let header = Int(BATON_TAP_HEADER)
        var released = 0
        while true {
            let count = read(descriptor.number, buffer.baseAddress, buffer.count)
            if count < 0 {
                switch errno {
                case EAGAIN: return released
                case EINTR: continue
                default: throw .call("read \(HoldDevice.name)", errno)
                }
            }
            // Ethernet: destination, source, type. Addressed to the device, or the stack takes it for another's.
            guard count > header + 14 else { continue }
            UnsafeMutableRawBufferPointer(rebasing: buffer[header...]).copyBytes(from: address)
            // EINVAL is the kernel's word on a damaged frame, which it would have dropped as well had it not been held.
            if write(descriptor.number, buffer.baseAddress, count) < 0, errno != EINVAL {
                throw .call("write \(HoldDevice.name)", errno)
            }
            released += 1
        }
    }

    private static func requireOpenPath() throws(MigrationError) {
        if NetworkSetting(path: "ipv4/conf/all/rp_filter").value == 1 {
            throw MigrationError(
                .steeringRules, "strict reverse path filtering; set net.ipv4.conf.all.rp_filter to 0 or 2")
        }
    }
}
