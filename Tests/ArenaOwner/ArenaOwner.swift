import CLinuxSockets
import Glibc
import SessionEngine

/// A worker as the tests need it: it gets an arena and the sockets of its sessions over descriptor 3, works until no session
/// is left, and is killed whenever the test likes.
@main
struct ArenaOwner {
    private static let channel: CInt = 3

    static func main() throws {
        // The arena with its former owner and the step to die at, then slots with two sockets each, then the end of the list.
        guard let (first, descriptors) = receive(), let memory = descriptors.first else { exit(2) }
        let former = UInt64(first[0])
        #if DEBUG
            if first[1] != .max { Step.left = Int(first[1]) }
        #endif
        var sockets: [Int: (client: CInt, upstream: CInt)] = [:]
        while let (slots, descriptors) = receive(), slots != [.max] {
            for (index, slot) in slots.enumerated() {
                sockets[Int(slot)] = (descriptors[2 * index], descriptors[2 * index + 1])
            }
        }
        var engine = try Engine(
            taking: Arena(mapping: memory), as: UInt64(getpid()), after: .killed(owner: former)
        ) { sockets[$0.slot] }
        for lost in engine.lost { print("slot \(lost.slot) is lost: \(lost.reason)") }
        guard engine.lost.isEmpty else { exit(3) }
        engine.run()
    }

    private static func receive() -> (slots: [UInt32], descriptors: [CInt])? {
        var words = [UInt32](repeating: 0, count: 256)
        var message = baton_message()
        var descriptors = [CInt](repeating: -1, count: Int(BATON_DESCRIPTORS_PER_MESSAGE))
        let count = words.withUnsafeMutableBytes {
            baton_receive_message(channel, 1, $0.baseAddress, $0.count, &descriptors, &message)
        }
        guard count > 0 else { return nil }
        return (Array(words.prefix(count / 4)), Array(descriptors.prefix(Int(message.descriptor_count))))
    }
}
