internal import CLinuxSockets
internal import Libc

extension HandoffSocket {
    /// What became of an attempt to send one message. A message goes whole or not at all.
    enum Sending: Hashable {
        case sent
        /// The send buffer is full: wait until the socket is writable.
        case blocked
        /// The other side is gone.
        case ended
        /// The kernel refuses this message: an errno value.
        case failed(Int32)
    }

    /// What became of an attempt to receive one message.
    enum Receiving {
        /// `count` bytes are in the buffer.
        case message(count: Int, lostDescriptors: Bool, sender: Int32)
        /// Nothing waits.
        case blocked
        /// Everything sent before the end has been received.
        case ended
        case failed(Int32)
    }

    borrowing func send(
        _ head: UnsafeRawBufferPointer, _ body: UnsafeRawBufferPointer = .init(start: nil, count: 0),
        descriptors: UnsafeBufferPointer<Int32> = .init(start: nil, count: 0)
    ) -> Sending {
        let result = baton_send_message(
            descriptor, head.baseAddress, head.count, body.baseAddress, body.count, descriptors.baseAddress,
            Int32(descriptors.count))
        switch -result {
        case 0: return .sent
        case EAGAIN: return .blocked
        case EPIPE, ECONNRESET, ENOTCONN: return .ended
        default: return .failed(-result)
        }
    }

    /// Sends a small message that must not wait, if need be beyond the usual bounds of the send buffer.
    borrowing func sendUrgently(_ head: UnsafeRawBufferPointer) -> Sending {
        var result = send(head)
        var attempts = 0
        while result != .sent, result != .ended, attempts < 8 {
            // Refused, too, at the bounds the administrator set; then what counts is that the peer may have read.
            _ = baton_raise_send_buffer(descriptor)
            result = send(head)
            attempts += 1
        }
        return result
    }

    /// Receives one message to `buffer`; the descriptors that came are added to `descriptors`, which closes them
    /// unless they are taken. If it `waits`, it says `blocked` only after a while; see `mayWait(until:)`.
    borrowing func receive(
        into buffer: UnsafeMutableRawBufferPointer, descriptors: inout DescriptorSet, waits: Bool = false
    ) -> Receiving {
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: HandoffProtocol.descriptorsPerMessage) { arrived in
            var message = baton_message()
            let count = baton_receive_message(
                descriptor, waits ? 1 : 0, buffer.baseAddress, buffer.count, arrived.baseAddress, &message)
            guard count >= 0 else {
                return Int32(-count) == EAGAIN ? .blocked : .failed(Int32(-count))
            }
            for index in 0..<Int(message.descriptor_count) {
                descriptors.append(owning: arrived[index])
            }
            // A message of the protocol is never empty.
            guard count > 0 else { return .ended }
            guard message.truncated == 0 else { return .failed(EMSGSIZE) }
            return .message(
                count: count, lostDescriptors: message.lost_descriptors != 0, sender: message.sender)
        }
    }
}
