internal import BatonNIO
internal import Glibc
internal import Handoff
internal import Synchronization

/// Listens for parcels and takes them from any number of owners, on a thread of its own: what it does is short, and must
/// not wait for an event loop that is busy with bytes.
final class ParcelInbox: Sendable {
    /// A channel and, because arrays hold no noncopyable elements, its box. Used by the inbox's thread only.
    private final class Source {
        var channel: ReceiverChannel

        init(_ channel: consuming ReceiverChannel) { self.channel = channel }
    }

    private let listener: Mutex<HandoffListener?>
    /// Two connected sockets: `stop` writes to one, the thread polls the other.
    private let wake: [CInt]
    private let ending = Mutex<(@Sendable () -> Void)?>(nil)
    private let decide: @Sendable (borrowing Parcel) -> Verdict
    private let received: @Sendable ([DetachedConnection]) -> Void

    /// Listens at `path`.
    ///
    /// - Parameters:
    ///   - decide: whether a parcel is wanted; called on the inbox's thread.
    ///   - received: connections that are this process's now; called on the inbox's thread.
    init(
        at path: String, decide: @escaping @Sendable (borrowing Parcel) -> Verdict,
        received: @escaping @Sendable ([DetachedConnection]) -> Void
    ) throws(HandoffError) {
        listener = Mutex(try HandoffListener(at: path))
        var ends: [CInt] = [-1, -1]
        _ = socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends)
        wake = ends
        self.decide = decide
        self.received = received
    }

    deinit { for end in wake { close(end) } }

    /// Begins to receive.
    func start() {
        startThread("baton-inbox") { self.run() }
    }

    /// Receives no more, as soon as every offer that was accepted has been committed or taken back: its owner may have
    /// sent the commit already, and then the connection is this process's alone. From now on `decide` should decline.
    ///
    /// - Parameter stopped: called on the inbox's thread, after the last call of `received`.
    func stop(_ stopped: @escaping @Sendable () -> Void) {
        ending.withLock { $0 = stopped }
        var one: UInt8 = 1
        _ = write(wake[1], &one, 1)
    }

    private func run() {
        var listener = listener.withLock { $0.take() }
        var sources: [Source] = []
        while true {
            wait(listener?.descriptor ?? -1, sources)
            if listener != nil { accept(listener!, &sources) }
            for source in sources { advance(source) }
            sources.removeAll { $0.channel.descriptor < 0 }
            guard let stopped = ending.withLock({ $0 }) else { continue }
            // Whoever connects from here on is told at once that nobody listens.
            listener = nil
            drainWake()
            if sources.allSatisfy({ !$0.channel.isHolding }) { return stopped() }
        }
    }

    private func drainWake() {
        var byte: UInt8 = 0
        _ = recv(wake[0], &byte, 1, Int32(MSG_DONTWAIT))
    }

    private func wait(_ listener: CInt, _ sources: [Source]) {
        var polled = [
            pollfd(fd: wake[0], events: Int16(POLLIN), revents: 0),
            pollfd(fd: listener, events: Int16(POLLIN), revents: 0),
        ]
        var timeout = Int32(-1)
        for source in sources {
            polled.append(pollfd(fd: source.channel.descriptor, events: source.channel.interest, revents: 0))
            if let deadline = source.channel.deadline {
                let left = Int32(min(deadline.remainingMilliseconds, 60_000))
                timeout = timeout < 0 ? left : min(timeout, left)
            }
        }
        _ = poll(&polled, nfds_t(polled.count), timeout)
    }

    private func accept(_ listener: borrowing HandoffListener, _ sources: inout [Source]) {
        while true {
            do throws(HandoffError) {
                guard let socket = try listener.acceptWaiting() else { return }
                sources.append(Source(ReceiverChannel(socket)))
            } catch {
                // Somebody who may not take part has been disconnected; anything else is tried again when poll says so.
                guard error.code == .peerNotAllowed else { return }
            }
        }
    }

    private func advance(_ source: Source) {
        do throws(HandoffError) {
            while let event = try source.channel.step(decide) {
                switch consume event {
                case .received(let taken):
                    var boxes: [DetachedConnection] = []
                    taken.parcels.consumeEach { boxes.append(DetachedConnection($0)) }
                    received(boxes)
                case .discarded: continue
                case .ended: return
                }
            }
        } catch {
            // The channel is closed and holds nothing any more; its owner is told by that.
            return
        }
    }
}
