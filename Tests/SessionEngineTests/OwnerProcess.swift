import CLinuxSockets
import Glibc
import SessionEngine

/// A process that has an arena (`ArenaOwner`). The test stands for the keeper: it has the arena and a duplicate of each socket.
struct OwnerProcess {
    /// What an owner does with the one session that it finds.
    enum Action: UInt32, CaseIterable {
        /// Its work, until no session is left.
        case work = 0
        /// Gives it a note that fits into its slot, and then one that does not.
        case note
        /// Takes it out. What comes over the channel says that somebody has the parcel.
        case leave
        /// Takes it out and begins it anew, with a note that needs an extent.
        case comeBack
        /// Resets both sides.
        case reset
        /// Has it end for want of bytes.
        case idle
        /// Takes it over.
        case takeOver
    }

    let pid: pid_t
    let channel: CInt

    /// - Parameters:
    ///   - step: the one of its action at which the owner kills itself.
    init(
        _ memory: CInt, _ action: Action = .work, dyingAt step: Int? = nil,
        _ sockets: [(slot: Int, client: CInt, upstream: CInt)]
    ) throws {
        var pair: [CInt] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &pair) == 0 else {
            throw Fault("no socket pair: errno \(errno)")
        }
        let null = open("/dev/null", O_RDONLY | O_CLOEXEC)
        defer { close(null) }
        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("ArenaOwner"), nil]
        defer { free(arguments[0]) }
        pid = baton_spawn(OwnerProcess.program, &arguments, null, pair[1], 0)
        close(pair[1])
        channel = pair[0]
        guard pid > 0 else { throw Fault("cannot start \(OwnerProcess.program): errno \(-pid)") }
        try tell([UInt32(Arena.owner(of: memory)), step.map(UInt32.init) ?? .max, action.rawValue], [memory])
        for first in stride(from: 0, to: sockets.count, by: 100) {
            let some = sockets[first..<min(first + 100, sockets.count)]
            try tell(some.map { UInt32($0.slot) }, some.flatMap { [$0.client, $0.upstream] })
        }
        try tell([.max], [])
    }

    /// Waits for its end.
    ///
    /// - Returns: how it ended, and whether it has said something.
    func wait() -> (status: CInt, hasSpoken: Bool) {
        var status: CInt = 0
        waitpid(pid, &status, 0)
        var word: UInt32 = 0
        let count = recv(channel, &word, 4, Int32(MSG_DONTWAIT))
        close(channel)
        return (status, count == 4)
    }

    private func tell(_ words: [UInt32], _ descriptors: [CInt]) throws {
        let failed = words.withUnsafeBytes {
            baton_send_message(channel, $0.baseAddress, $0.count, nil, 0, descriptors, Int32(descriptors.count))
        }
        guard failed == 0 else { throw Fault("the owner cannot be told: errno \(-failed)") }
    }

    /// Beside the test bundle, where the build puts it.
    private static let program: String = {
        let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? ""
        return bundle.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
            + "/ArenaOwner"
    }()
}
