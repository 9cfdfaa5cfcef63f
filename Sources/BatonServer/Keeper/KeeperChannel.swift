internal import CLinuxSockets
internal import Foundation
internal import Libc

/// One end of a SOCK_SEQPACKET socket between the keeper and another process: whole messages, some with descriptors. It never
/// waits; what the other side does not take yet is kept.
final class KeeperChannel {
    /// A message that has come, with descriptors that are the caller's.
    struct Message {
        var bytes: [UInt8]
        var descriptors: [CInt]

        /// Closes all but the first descriptor, which is the caller's.
        func onlyDescriptor() -> CInt? {
            for descriptor in descriptors.dropFirst() { close(descriptor) }
            return descriptors.first
        }
    }

    private enum Outgoing {
        /// The descriptors are the channel's.
        case whole([UInt8], [CInt])
        /// What is sent is asked for when there is room for it; `nil`: nothing is to be sent any more.
        case late(() -> (bytes: [UInt8], descriptors: [CInt])?)
    }

    let descriptor: CInt
    private var outgoing: [Outgoing] = []
    private(set) var isBroken = false
    /// Whether the other side is gone. What it sent before has been received.
    private(set) var hasEnded = false
    /// Room for the longest message.
    static let longest = 256 << 10
    /// More than this for a process that takes nothing is given up.
    private static let maxWaiting = 8_192

    init(owning descriptor: CInt) {
        self.descriptor = descriptor
        var size = CInt(Self.longest)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<CInt>.size))
    }

    deinit {
        for case .whole(_, let descriptors) in outgoing { for descriptor in descriptors { close(descriptor) } }
        close(descriptor)
    }

    var hasOutgoing: Bool { !outgoing.isEmpty }

    /// For poll(2).
    var events: Int16 { Int16(POLLIN) | (hasOutgoing ? Int16(POLLOUT) : 0) }

    /// Sends a message with a descriptor, which is taken over.
    func send(bytes: [UInt8], owning attached: CInt? = nil) {
        guard !isBroken, outgoing.count < Self.maxWaiting else {
            if let attached { close(attached) }
            return
        }
        outgoing.append(.whole(bytes, attached.map { [$0] } ?? []))
        flush()
    }

    /// Sends a message with descriptors that stay the caller's.
    ///
    /// - Parameter message: is called as soon as there is room, which may be later, for what is to be sent by then.
    func send(late message: @escaping () -> (bytes: [UInt8], descriptors: [CInt])?) {
        guard !isBroken, outgoing.count < Self.maxWaiting else { return }
        outgoing.append(.late(message))
        flush()
    }

    func send(_ message: some Encodable, owning attached: CInt? = nil) {
        guard let bytes = try? JSONEncoder().encode(message) else {
            if let attached { close(attached) }
            return
        }
        send(bytes: Array(bytes), owning: attached)
    }

    /// Sends what has waited, as far as it is taken.
    func flush() {
        var sent = 0
        for message in outgoing {
            let (bytes, descriptors): ([UInt8], [CInt])
            switch message {
            case .whole(let words, let owned): (bytes, descriptors) = (words, owned)
            case .late(let ask):
                guard let due = ask() else {
                    sent += 1
                    continue
                }
                (bytes, descriptors) = due
            }
            let result = bytes.withUnsafeBytes {
                baton_send_message(
                    descriptor, $0.baseAddress, $0.count, nil, 0, descriptors, CInt(descriptors.count))
            }
            // ETOOMANYREFS: as many descriptors are under way as this user may have, until the other side takes some.
            if result == -EAGAIN || result == -ETOOMANYREFS { break }
            if result < 0 { isBroken = true }
            if case .whole(_, let owned) = message { for descriptor in owned { close(descriptor) } }
            sent += 1
        }
        outgoing.removeFirst(sent)
    }

    enum Received {
        case message(Message)
        /// Nothing has come yet.
        case nothing
        /// A message has come of which this process had no room for all descriptors; none of them is left.
        case shortage([UInt8])
        case end
    }

    /// The next message.
    func receive() -> Received {
        let received = Self.receive(from: descriptor, waits: false)
        if case .end = received { hasEnded = true }
        return received
    }

    /// - Parameter waits: whether it waits for a message.
    static func receive(from descriptor: CInt, waits: Bool) -> Received {
        var descriptors = [CInt](repeating: -1, count: Int(BATON_DESCRIPTORS_PER_MESSAGE))
        var information = baton_message()
        var count = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: longest) { buffer, initialized in
            count = baton_receive_message(
                descriptor, waits ? 1 : 0, buffer.baseAddress, buffer.count, &descriptors, &information)
            initialized = max(0, count)
        }
        if count == -Int(EAGAIN) { return .nothing }
        let received = Array(descriptors.prefix(Int(information.descriptor_count)))
        guard count > 0, information.truncated == 0, information.lost_descriptors == 0 else {
            for descriptor in received { close(descriptor) }
            return count > 0 && information.truncated == 0 ? .shortage(bytes) : .end
        }
        return .message(Message(bytes: bytes, descriptors: received))
    }
}
