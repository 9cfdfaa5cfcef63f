internal import BatonCore
internal import CLinuxSockets
internal import Libc
internal import Synchronization

/// Takes parcels from other processes, on one thread: waits at a listener and at any number of channels. What it does is
/// short, and does not wait for an event loop that is busy with bytes.
package final class ParcelReceiver: Sendable {
    package typealias Decision = @Sendable (borrowing Parcel) -> Verdict

    /// What went wrong with others; the receiver goes on.
    package enum Trouble: Sendable {
        /// A process could not connect, or may not.
        case refused(HandoffError)
        /// An accepted offer came to nothing.
        case discarded(Discarded)
        /// A channel failed.
        case failed(HandoffError)
    }

    private final class Box {
        var channel: ReceiverChannel
        init(_ channel: consuming ReceiverChannel) { self.channel = channel }
    }

    /// How long nobody is accepted after accepting failed for want of descriptors or memory.
    private static let rest = Duration.milliseconds(100)

    private let listener: Mutex<HandoffListener?>
    private let first: Mutex<HandoffSocket?>
    private let isStopping = Atomic<Bool>(false)
    private let wakePipe: WakePipe
    private let options: ReceiverOptions
    private let decide: Decision
    private let received: @Sendable ([ParcelBox]) -> Void
    private let report: @Sendable (Trouble) -> Void
    private let stopped = Mutex<(@Sendable () -> Void)?>(nil)

    /// - Parameters:
    ///   - listener: where owners connect; `nil` to take from `first` alone, and end with it.
    ///   - decide: whether a parcel is wanted; called on the receiver's thread, like the others.
    ///   - received: given the connections of an offer that are this process's now.
    ///   - report: told what went wrong.
    package init(
        listener: consuming HandoffListener?, first: consuming HandoffSocket? = nil,
        options: ReceiverOptions = ReceiverOptions(), decide: @escaping Decision,
        received: @escaping @Sendable ([ParcelBox]) -> Void, report: @escaping @Sendable (Trouble) -> Void = { _ in }
    ) throws(HandoffError) {
        wakePipe = try WakePipe()
        self.listener = Mutex(consume listener)
        self.first = Mutex(consume first)
        self.options = options
        self.decide = decide
        self.received = received
        self.report = report
    }

    /// Listens at `path`.
    package convenience init(
        at path: String, options: ReceiverOptions = ReceiverOptions(), decide: @escaping Decision,
        received: @escaping @Sendable ([ParcelBox]) -> Void, report: @escaping @Sendable (Trouble) -> Void = { _ in }
    ) throws(HandoffError) {
        try self.init(
            listener: try HandoffListener(at: path), options: options, decide: decide, received: received,
            report: report)
    }

    /// Receives no more, and ends as soon as every offer that was accepted has been committed or taken back: its owner may
    /// have sent the commit already, and then the connection is this process's alone. What is offered meanwhile is
    /// declined.
    ///
    /// - Parameter stopped: called on the receiver's thread, after the last call of `received`.
    package func stop(_ stopped: (@Sendable () -> Void)? = nil) {
        self.stopped.withLock { $0 = stopped }
        isStopping.store(true, ordering: .relaxed)
        wakePipe.wake()
    }

    /// Serves on a thread of its own.
    package func start() throws(HandoffError) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, 512 << 10)
        var thread = pthread_t()
        let receiver = Unmanaged.passRetained(self)
        // The application's signals are for its own threads.
        var (all, before) = (sigset_t(), sigset_t())
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        let result = pthread_create(
            &thread, &attributes,
            { context in
                guard let context else { return nil }
                Unmanaged<ParcelReceiver>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, receiver.toOpaque())
        guard result == 0 else {
            receiver.release()
            throw .system("cannot start the thread that receives", -result)
        }
    }

    /// Serves until stopped, or without a listener until the channel ends. Blocks its thread.
    package func run() {
        serve()
        stopped.withLock { $0.take() }?()
    }

    private func serve() {
        var listener = listener.withLock { $0.take() }
        let isListening = listener != nil
        var resting: Deadline?
        var boxes: [Box] = []
        if let socket = first.withLock({ $0.take() }) {
            boxes.append(Box(ReceiverChannel(socket, options: options)))
        }
        while true {
            if isStopping.load(ordering: .relaxed) {
                listener = nil
                // An owner that waits for an answer gets it; an accepted offer waits for its end.
                boxes.removeAll { !$0.channel.isHolding }
                if boxes.isEmpty { return }
            } else if !isListening, boxes.isEmpty {
                return
            }
            wait(listener, resting: resting, boxes)
            if let end = resting, end.hasPassed { resting = nil }
            if resting == nil, !accept(listener, into: &boxes) { resting = .after(Self.rest) }
            boxes.removeAll { !step($0) }
        }
    }

    private func wait(_ listener: borrowing HandoffListener?, resting: Deadline?, _ boxes: [Box]) {
        var polled = [pollfd(fd: wakePipe.descriptor, events: Int16(POLLIN), revents: 0)]
        switch listener {
        case .some(let listener) where resting == nil:
            polled.append(pollfd(fd: listener.descriptor, events: Int16(POLLIN), revents: 0))
        default: break
        }
        for box in boxes {
            polled.append(pollfd(fd: box.channel.descriptor, events: box.channel.interest, revents: 0))
        }
        let deadlines = boxes.compactMap { $0.channel.deadline } + (resting.map { [$0] } ?? [])
        let limit = deadlines.map { CInt(min($0.remainingMilliseconds, 60_000)) }.min() ?? -1
        pollDescriptors(&polled, milliseconds: limit)
        if polled[0].revents != 0 { wakePipe.clear() }
    }

    /// Returns whether accepting can go on at once.
    private func accept(_ listener: borrowing HandoffListener?, into boxes: inout [Box]) -> Bool {
        do throws(HandoffError) {
            switch listener {
            case .some(let listener):
                while let socket = try listener.acceptWaiting() {
                    boxes.append(Box(ReceiverChannel(socket, options: options)))
                }
            case .none: break
            }
            return true
        } catch {
            report(.refused(error))
            return error.code == .peerNotAllowed
        }
    }

    /// Returns whether the channel goes on.
    private func step(_ box: Box) -> Bool {
        let isStopping = isStopping.load(ordering: .relaxed)
        do throws(HandoffError) {
            while true {
                switch try box.channel.step({ isStopping ? .decline(.leaving) : decide($0) }) {
                case .received(let arrived):
                    var boxes: [ParcelBox] = []
                    arrived.parcels.consumeEach { boxes.append(ParcelBox($0)) }
                    received(boxes)
                case .discarded(let why): report(.discarded(why))
                case .ended: return false
                case nil: return true
                }
            }
        } catch {
            report(.failed(error))
            return false
        }
    }
}
