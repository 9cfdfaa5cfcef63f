import CLinuxSockets
import Glibc
import SampleArena
import SessionEngine

/// A worker as the tests need it: it gets an arena and the sockets of its sessions over descriptor 3, works until no session
/// is left, and is killed whenever the test likes.
@main
struct ArenaOwner {
    private static let channel: CInt = 3

    static func main() throws {
        // The arena with its former owner, the step to die at and what to do; then slots with two sockets each, then the end of
        // the list.
        guard let (first, descriptors) = receive(), let memory = descriptors.first else { exit(2) }
        let former = UInt64(first[0])
        let (step, action) = (first[1], first[2])
        var sockets: [Int: (client: CInt, upstream: CInt)] = [:]
        while let (slots, descriptors) = receive(), slots != [.max] {
            for (index, slot) in slots.enumerated() {
                sockets[Int(slot)] = (descriptors[2 * index], descriptors[2 * index + 1])
            }
        }
        // What a death may interrupt begins with taking over, or with the action.
        if action == 0 || action == 6 { die(at: step) }
        var engine = try Engine(
            taking: Arena(mapping: memory), as: UInt64(getpid()), after: .killed(owner: former),
            sockets: { sockets[$0.slot] }, respond: SamplePage.respond)
        for lost in engine.lost { print("slot \(lost.slot) is lost: \(lost.reason)") }
        guard engine.lost.isEmpty else { exit(3) }
        guard action > 0 else { return engine.run() }
        if action < 6 { act(action, on: &engine, dyingAt: step) }
    }

    /// The process kills itself at a step of what follows.
    private static func die(at step: UInt32) {
        #if DEBUG
            if step != .max { Step.left = Int(step) }
        #endif
    }

    /// See `OwnerProcess.Action`.
    private static func act(_ action: UInt32, on engine: inout Engine, dyingAt step: UInt32) {
        guard let number = engine.list(after: nil, limit: 1).first?.number else { exit(4) }
        switch action {
        case 1:
            die(at: step)
            guard engine.setNote(number, [UInt8](repeating: 1, count: 100)),
                engine.setNote(number, [UInt8](repeating: 2, count: 3_000)),
                engine.setNote(number, [UInt8](repeating: 3, count: 50))
            else { exit(5) }
        case 2:
            die(at: step)
            let parcels = engine.extract([number]).parcels
            guard parcels.count == 1 else { exit(6) }
            var word: UInt32 = 1
            send(channel, &word, 4, 0)
        case 3:
            guard var session = engine.extract([number]).parcels.first?.take() else { exit(6) }
            session.note = [UInt8](repeating: 4, count: 3_000)
            die(at: step)
            guard engine.begin([SessionParcel(session)]).isEmpty else { exit(7) }
        case 4:
            die(at: step)
            engine.reset([number])
        default:
            die(at: step)
            engine.setIdleLimit(number, 1)
            engine.run()
        }
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
