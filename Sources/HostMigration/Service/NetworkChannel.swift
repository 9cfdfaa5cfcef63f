internal import CLinuxSockets
import Libc

/// One end of the socket between a server and its privileged process: whole messages with descriptors. Each begins with the
/// version, since the processes can be of different releases after an upgrade.
package struct NetworkChannel: ~Copyable {
    private let socket: Descriptor

    private static let version: UInt8 = 1

    /// The descriptor, for poll(2).
    package var descriptor: Int32 { socket.number }

    package init(owning descriptor: Int32) {
        socket = Descriptor(owning: descriptor)
        // What is sent is answered, so little is ever queued; but a reply may have sixty thousand bytes.
        var size: Int32 = 1 << 18
        setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Sends one message; waits while the other side is slow.
    package borrowing func send(_ bytes: [UInt8], _ descriptors: [Int32] = []) throws(MigrationError) {
        let version = [Self.version]
        while true {
            let result = bytes.withUnsafeBytes {
                baton_send_message(
                    socket.number, version, 1, $0.baseAddress, $0.count, descriptors, Int32(descriptors.count))
            }
            if result == 0 { return }
            guard result == -EAGAIN else {
                throw .call("privileged process", -result, result == -EPIPE ? .linkEnded : .systemCall)
            }
            var request = pollfd(fd: socket.number, events: Int16(POLLOUT), revents: 0)
            _ = poll(&request, 1, -1)
        }
    }

    /// The next message with its descriptors, which are the caller's; nil at the end.
    package borrowing func receive() throws(MigrationError) -> (bytes: [UInt8], descriptors: [Int32])? {
        var buffer = [UInt8](repeating: 0, count: NetworkRequest.longest + 1)
        var descriptors = [Int32](repeating: -1, count: Int(BATON_DESCRIPTORS_PER_MESSAGE))
        while true {
            var message = baton_message()
            let count = baton_receive_message(socket.number, 0, &buffer, buffer.count, &descriptors, &message)
            if count == -Int(EAGAIN) {
                var request = pollfd(fd: socket.number, events: Int16(POLLIN), revents: 0)
                _ = poll(&request, 1, -1)
                continue
            }
            let received = Array(descriptors.prefix(Int(message.descriptor_count)))
            guard count > 0 else {
                for descriptor in received { close(descriptor) }
                if count == 0 { return nil }
                throw .call("privileged process", Int32(-count), .linkEnded)
            }
            guard message.truncated == 0, message.lost_descriptors == 0 else {
                for descriptor in received { close(descriptor) }
                throw MigrationError(.outOfRoom, "descriptors; raise the limit of open files")
            }
            guard buffer[0] == Self.version else {
                for descriptor in received { close(descriptor) }
                throw MigrationError(.protocolViolation, "another version of Baton; restart the server")
            }
            return (Array(buffer[1..<count]), received)
        }
    }
}
