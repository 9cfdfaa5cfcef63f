import Glibc
import Synchronization

/// A server that echoes on one connection, until it is asked to stop so that the connection can move. What it has read
/// and not yet written is the application's own state, and moves beside the connection.
package final class Echo: Sendable {
    /// The state of a stopped echo.
    package struct State: Sendable {
        package var descriptor: Int32
        package var pending: [UInt8] = []
        /// The peer has sent its FIN.
        package var isReadClosed = false
        /// Nothing more will be read or written.
        package var isFinished = false
        /// Bytes echoed, by every owner together.
        package var echoed = 0

        package init(descriptor: Int32) { self.descriptor = descriptor }
    }

    /// How much is read ahead of what the peer takes.
    private static let limit = 1 << 20

    /// A pipe: a byte asks the thread to stop.
    private let stopRequest: Int32
    private let stopRequested: Int32
    private let box: ProgressBox
    private let task: Task<State, any Error>

    package init(_ state: State, in role: Lab.Role) {
        var ends: [Int32] = [-1, -1]
        pipe(&ends)
        let request = ends[0]
        stopRequested = request
        stopRequest = ends[1]
        let progress = ProgressBox()
        progress.value.withLock { $0 = state.echoed }
        self.box = progress
        task = Lab.shared.start(in: role) { try Echo.run(state, stop: request, progress) }
    }

    /// How many bytes have been echoed so far.
    package var echoed: Int { box.value.withLock { $0 } }

    /// Waits until so many bytes have been echoed.
    package func wait(for goal: Int) async throws {
        // On a thread of its own: it is the client and the echo that need the processors.
        try await Lab.shared.run(in: .a) { [box] in
            var waiting = pollfd(fd: -1, events: 0, revents: 0)
            try Sockets.wait("echo of \(goal) bytes") {
                if box.value.withLock({ $0 >= goal }) { return true }
                poll(&waiting, 1, 1)
                return false
            }
        }
    }

    /// Stops at once and returns what there is.
    package func stop() async throws -> State {
        write(stopRequest, [1], 1)
        let state = try await task.value
        close(stopRequest)
        close(stopRequested)
        return state
    }

    /// Waits until the peer has closed and everything is echoed.
    package func finish() async throws -> State {
        let state = try await task.value
        close(stopRequest)
        close(stopRequested)
        return state
    }

    private static func run(_ initial: State, stop: Int32, _ progress: ProgressBox) throws -> State {
        var state = initial
        let fd = state.descriptor
        _ = fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK)
        Sockets.set(fd, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        var buffer = [UInt8](repeating: 0, count: 65536)
        while !(state.isReadClosed && state.pending.isEmpty) {
            let wantsRead = !state.isReadClosed && state.pending.count < limit
            let events = (wantsRead ? POLLIN : 0) | (state.pending.isEmpty ? 0 : POLLOUT)
            var requests = [
                pollfd(fd: fd, events: Int16(events), revents: 0),
                pollfd(fd: stop, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&requests, 2, 60_000) > 0 else { throw LabError("echo is idle") }
            if requests[1].revents != 0 { return state }
            if wantsRead {
                let count = recv(fd, &buffer, buffer.count, 0)
                if count > 0 {
                    state.pending += buffer[..<count]
                } else if count == 0 {
                    state.isReadClosed = true
                } else if errno != EAGAIN {
                    throw LabError("echo recv")
                }
            }
            if !state.pending.isEmpty {
                let sent = send(fd, state.pending, state.pending.count, Int32(MSG_NOSIGNAL))
                if sent > 0 {
                    state.pending.removeFirst(sent)
                    state.echoed += sent
                    let total = state.echoed
                    progress.value.withLock { $0 = total }
                } else if errno != EAGAIN {
                    throw LabError("echo send")
                }
            }
        }
        shutdown(fd, Int32(SHUT_WR))
        state.isFinished = true
        return state
    }
}

private final class ProgressBox: Sendable {
    let value = Mutex(0)
}
