internal import BatonConfiguration
internal import BatonCore
internal import CLinuxSockets
internal import Libc
internal import Synchronization

/// Accepts connections at listening sockets, on a thread of its own and in small batches. Each is given away at once: what
/// is decided about it before it costs anything, its limits above all, is decided there.
///
/// Everything that can fail happens in `add`, or in `hold` before it; `open` only begins. `close` and `remove` have an effect at once: when they
/// return, whatever has been accepted has been given away, and nothing more will be.
///
/// It makes no channel, and knows no limit but that of descriptors: an acceptor that leaves a reserve stops before the last
/// ones are taken, and waits, as it does when the kernel refuses. Who connects then waits in the socket's queue.
final class Acceptor: Sendable {
    /// Takes a descriptor, which is its from then on, non-blocking and close-on-exec. Called on the acceptor's thread, or
    /// on that of whoever empties a socket; it must not call the acceptor.
    typealias Receiver = @Sendable (_ descriptor: CInt, _ peer: sockaddr_storage) -> Void

    /// What operators are told.
    enum Event: Sendable {
        /// New connections wait for want of descriptors or memory (errno).
        case waits(CInt)
        /// New connections wait because as many have come as may in a second. Told once in ten seconds at most.
        case waitsForRate
        /// They are accepted again, after so many nanoseconds.
        case acceptsAgain(after: UInt64)
        /// A socket can accept no more (errno).
        case broken(descriptor: CInt, CInt)
    }

    /// Connections accepted at one socket before another has its turn.
    private static let batch = 32
    private static let tellingInterval: UInt64 = 10_000_000_000
    /// Of the connections that wait at a socket that is given up.
    private static let maxEmptied = 1_024

    private struct State {
        var receivers: [CInt: Receiver] = [:]
        /// Sockets that nothing is accepted at before they are added.
        var held: Set<CInt> = []
        var isOpen = false
        var hasEnded = false
        var shortage = DescriptorShortage()
        var rate = RateLimit(perSecond: nil)
        /// Until when nothing is accepted because as many have come as may; 0: it is.
        var rateUntil: UInt64 = 0
        var rateToldAt: UInt64?

        /// Whether nothing is accepted for now.
        var isWaiting: Bool { shortage.waitsUntil != nil || rateUntil > 0 }

        /// When there is something to do without being asked.
        var next: UInt64? { rateUntil == 0 ? shortage.next : min(rateUntil, shortage.next ?? .max) }
    }

    private let state = Mutex(State())
    /// Watches the listening sockets.
    private let watch: CInt
    /// Readable when there is something new in `state`.
    private let wake: CInt
    private let reserve: @Sendable () -> DescriptorLimit.Reserve?
    private let told: @Sendable (Event) -> Void

    /// Starts the thread.
    ///
    /// - Parameters:
    ///   - reserve: how many descriptors are left to others; asked again and again.
    ///   - told: called on the acceptor's thread.
    init(
        _ name: String, reserve: @escaping @Sendable () -> DescriptorLimit.Reserve? = { nil },
        told: @escaping @Sendable (Event) -> Void
    ) throws(RuntimeError) {
        self.reserve = reserve
        self.told = told
        watch = baton_watch_open()
        wake = baton_wake_open()
        guard watch >= 0, wake >= 0 else {
            errno = -min(watch, wake)
            throw .system("cannot watch listening sockets")
        }
        startThread(name) { self.run() }
    }

    deinit {
        if watch >= 0 { Libc.close(watch) }
        if wake >= 0 { Libc.close(wake) }
    }

    /// Accepts at `descriptor`, once the acceptor is open. The socket remains the caller's.
    func add(_ descriptor: CInt, _ receiver: @escaping Receiver) throws(RuntimeError) {
        let result = state.withLock { state in
            let result =
                if state.held.remove(descriptor) != nil {
                    baton_watch_begin(watch, descriptor)
                } else {
                    state.receivers[descriptor] == nil ? baton_watch_add(watch, descriptor) : 0
                }
            if result == 0 { state.receivers[descriptor] = receiver }
            return result
        }
        guard result == 0 else {
            errno = -result
            throw .system("cannot watch a listening socket")
        }
    }

    /// Makes sure that `add` will succeed for a socket that does not listen yet.
    func hold(_ descriptor: CInt) throws(RuntimeError) {
        let result = state.withLock { state in
            let result = baton_watch_hold(watch, descriptor)
            if result == 0 { state.held.insert(descriptor) }
            return result
        }
        guard result == 0 else {
            errno = -result
            throw .system("cannot watch a listening socket")
        }
    }

    /// Accepts no more at `descriptor`.
    ///
    /// - Parameter receiver: takes what waits there now; `nil` leaves it.
    func remove(_ descriptor: CInt, emptyingInto receiver: Receiver? = nil) {
        state.withLock { state in
            let isHeld = state.held.remove(descriptor) != nil
            if state.receivers.removeValue(forKey: descriptor) != nil || isHeld {
                _ = baton_watch_remove(watch, descriptor)
            }
            guard let receiver else { return }
            for _ in 0..<Self.maxEmptied {
                var peer = sockaddr_storage()
                let accepted = baton_accept_from(descriptor, &peer, MemoryLayout<sockaddr_storage>.size)
                if accepted >= 0 {
                    receiver(accepted, peer)
                } else if case .passing = AcceptFailure(-accepted) {
                    continue
                } else {
                    return
                }
            }
        }
    }

    /// Begins to accept.
    func open() { change { $0.isOpen = true } }

    /// Accepts so many in a second at the most; `nil`: all that come.
    func setRate(_ perSecond: Int?) {
        change {
            $0.rate.perSecond = perSecond
            $0.rateUntil = 0
        }
    }

    /// Accepts nothing more, until it is opened again.
    func close() { change { $0.isOpen = false } }

    var isOpen: Bool { state.withLock { $0.isOpen } }

    /// Ends the thread. The sockets are not closed.
    func end() {
        change {
            $0.hasEnded = true
            $0.receivers = [:]
        }
    }

    /// Whether connections wait for want of descriptors or memory.
    var isShort: Bool { state.withLock { $0.shortage.since != nil } }

    private func change(_ body: (inout State) -> Void) {
        state.withLock { body(&$0) }
        var one: UInt64 = 1
        _ = write(wake, &one, MemoryLayout<UInt64>.size)
    }

    // MARK: The thread

    private func run() {
        var ready = [CInt](repeating: 0, count: 64)
        while true {
            let (accepts, next, hasEnded) = state.withLock {
                ($0.isOpen && !$0.isWaiting, $0.next, $0.hasEnded)
            }
            if hasEnded { return }
            let now = MonotonicTime.now
            let limit = next.map { CInt(clamping: ($0 - min($0, now)) / 1_000_000 + 1) } ?? -1
            var polled = [
                pollfd(fd: wake, events: Int16(POLLIN), revents: 0),
                pollfd(fd: accepts ? watch : -1, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&polled, 2, limit) >= 0 || errno == EINTR else { continue }
            if polled[0].revents != 0 {
                var count: UInt64 = 0
                _ = read(wake, &count, MemoryLayout<UInt64>.size)
            }
            if polled[1].revents != 0 {
                let count = Int(baton_watch_ready(watch, &ready, CInt(ready.count)))
                for descriptor in ready.prefix(max(0, count)) { accept(at: descriptor) }
            }
            lookForDescriptors()
        }
    }

    /// Accepts some of those who wait at one socket.
    private func accept(at descriptor: CInt) {
        let event: Event? = state.withLock { state in
            guard state.isOpen, !state.hasEnded, !state.isWaiting,
                let receiver = state.receivers[descriptor]
            else { return nil }
            let highest = reserve()?.highest ?? .max
            var failure: CInt = 0
            for attempt in 0..<Self.batch {
                let now = state.rate.perSecond == nil ? 0 : MonotonicTime.now
                let wait = state.rate.wait(at: now)
                guard wait == 0 else { return waitForRate(now, wait, &state) }
                var peer = sockaddr_storage()
                let accepted = baton_accept_from(descriptor, &peer, MemoryLayout<sockaddr_storage>.size)
                guard accepted < 0 else {
                    _ = state.rate.admit(at: now)
                    receiver(accepted, peer)
                    // The lowest number that is free tells how many are taken.
                    if accepted >= highest { return met(EMFILE, &state) }
                    continue
                }
                switch AcceptFailure(-accepted) {
                case .nobody: return nil
                case .passing:
                    failure = -accepted
                    // Whatever it is, it does not pass.
                    if attempt == Self.batch - 1 { return met(failure, &state) }
                case .shortage: return met(-accepted, &state)
                case .lasting:
                    state.receivers[descriptor] = nil
                    _ = baton_watch_remove(watch, descriptor)
                    return .broken(descriptor: descriptor, -accepted)
                }
            }
            return nil
        }
        if let event { told(event) }
    }

    private func waitForRate(_ now: UInt64, _ wait: UInt64, _ state: inout State) -> Event? {
        state.rateUntil = now + wait
        if let told = state.rateToldAt, now - told < Self.tellingInterval { return nil }
        state.rateToldAt = now
        return .waitsForRate
    }

    private func met(_ code: CInt, _ state: inout State) -> Event? {
        state.shortage.met(at: MonotonicTime.now) ? .waits(code) : nil
    }

    /// After a shortage.
    private func lookForDescriptors() {
        let event: Event? = state.withLock { state in
            let now = MonotonicTime.now
            if now >= state.rateUntil { state.rateUntil = 0 }
            if let until = state.shortage.waitsUntil, now >= until {
                let highest = reserve()?.highest ?? .max
                let free = fcntl(wake, F_DUPFD_CLOEXEC, 0)
                if free >= 0 { Libc.close(free) }
                if free >= 0, free < highest {
                    state.shortage.relieved(at: now)
                } else {
                    _ = state.shortage.met(at: now)
                }
            }
            return state.shortage.ended(at: now).map { .acceptsAgain(after: $0) }
        }
        if let event { told(event) }
    }
}
