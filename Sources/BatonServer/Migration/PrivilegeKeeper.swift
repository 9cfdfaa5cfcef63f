internal import CLinuxSockets
internal import HostMigration
internal import Libc

/// The process that starts the privileged one at a front's word, and starts it again when it has died. It is made before the
/// server gives up its privileges, lives as long as a front of the line does, and what it starts follows from its own
/// arguments alone: a front that has been taken over by an attacker cannot make it start anything else.
///
/// Blocking, on one thread.
final class PrivilegeKeeper {
    private final class Front {
        let channel: NetworkChannel

        init(owning descriptor: CInt) { channel = NetworkChannel(owning: descriptor) }
    }

    private struct Child {
        let pid: pid_t
        let pidfd: CInt
        let turn: UInt32
        let front: Front
    }

    private let arguments: [String]
    private var fronts: [Front]
    private var children: [Child] = []

    /// While a server is replaced, and a process of each front ends, there are four.
    private static let maxChildren = 4
    private static let maxFronts = 4

    /// - Parameter arguments: those of the privileged process.
    init(_ arguments: [String], owning descriptor: CInt) {
        self.arguments = arguments
        fronts = [Front(owning: descriptor)]
    }

    /// Serves until every front is gone. What it has started ends by itself then.
    func run() {
        while !fronts.isEmpty {
            let watched = fronts.map { $0.channel.descriptor } + children.map(\.pidfd)
            var polled = watched.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            _ = poll(&polled, nfds_t(polled.count), -1)
            let isReady = polled.map { $0.revents != 0 }
            let (heard, ended) = (zip(fronts, isReady), zip(children, isReady.dropFirst(fronts.count)))
            // Both lists as they were polled.
            for (front, isReady) in Array(heard) where isReady { hear(front) }
            for (child, isReady) in Array(ended) where isReady { reap(child) }
        }
    }

    private func hear(_ front: Front) {
        let message = try? front.channel.receive()
        guard let (bytes, descriptors) = message ?? nil else { return hangUp(front) }
        guard let order = PrivilegeOrder(bytes), descriptors.count == 1 else {
            for descriptor in descriptors { close(descriptor) }
            return hangUp(front)
        }
        switch order {
        case .start(let turn, let isRestarted):
            start(turn, at: descriptors[0], isRestarted: isRestarted, for: front)
            close(descriptors[0])
        case .share:
            guard fronts.count < Self.maxFronts else {
                close(descriptors[0])
                return
            }
            fronts.append(Front(owning: descriptors[0]))
        }
    }

    private func hangUp(_ front: Front) {
        // What it has started may be ours to reap still.
        shutdown(front.channel.descriptor, Int32(SHUT_RDWR))
        fronts.removeAll { $0 === front }
    }

    private func start(_ turn: UInt32, at socket: CInt, isRestarted: Bool, for front: Front) {
        guard children.count < Self.maxChildren else { return tell(front, .failed(turn: turn, code: EAGAIN)) }
        guard let pid = spawn(isRestarted: isRestarted, at: socket) else {
            return tell(front, .failed(turn: turn, code: ENOEXEC))
        }
        let pidfd = baton_child_pidfd(pid)
        guard pidfd >= 0 else {
            kill(pid, SIGKILL)
            var status: CInt = 0
            waitpid(pid, &status, 0)
            return tell(front, .failed(turn: turn, code: -pidfd))
        }
        children.append(Child(pid: pid, pidfd: pidfd, turn: turn, front: front))
    }

    private func spawn(isRestarted: Bool, at socket: CInt) -> pid_t? {
        let words = ["serve-network"] + arguments + (isRestarted ? ["--restarted"] : [])
        // The file as it is now: after an upgrade, that of the new version. This very program where that cannot be started.
        for binary in [BinaryPath.atStart, ChildProcess.thisBinary] {
            if let pid = try? ChildProcess.spawn(binary, words, standardInput: socket) { return pid }
        }
        return nil
    }

    private func reap(_ child: Child) {
        var status: CInt = 0
        while waitpid(child.pid, &status, 0) < 0, errno == EINTR {}
        close(child.pidfd)
        children.removeAll { $0.pid == child.pid }
        tell(child.front, .ended(turn: child.turn, status: status))
    }

    /// A front that is gone hears nothing.
    private func tell(_ front: Front, _ event: PrivilegeEvent) { try? front.channel.send(event.encoded) }
}
