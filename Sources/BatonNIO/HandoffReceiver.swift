internal import Glibc
internal import Handoff
internal import Logging
internal import Synchronization

/// Takes parcels from other processes, on one thread: waits at a listener and at any number of channels.
final class HandoffReceiver: Sendable {
    typealias Decision = @Sendable (borrowing Parcel) -> Verdict

    private final class Box {
        var channel: ReceiverChannel
        init(_ channel: consuming ReceiverChannel) { self.channel = channel }
    }

    private let listener: Mutex<HandoffListener?>
    private let first: Mutex<HandoffSocket?>
    private let isStopping = Atomic<Bool>(false)
    private let wakePipe: WakePipe
    private let options: ReceiverOptions
    private let logger: Logger
    private let decide: Decision
    private let take: @Sendable (consuming Parcel) -> Void

    /// - Parameters:
    ///   - listener: where owners connect; `nil` to take from `first` alone, and end with it.
    ///   - take: given each connection that is this process's now, on the receiver's thread.
    init(
        listener: consuming HandoffListener?, first: consuming HandoffSocket? = nil, options: ReceiverOptions,
        logger: Logger, decide: @escaping Decision, take: @escaping @Sendable (consuming Parcel) -> Void
    ) throws(ConnectionError) {
        wakePipe = try WakePipe()
        self.listener = Mutex(consume listener)
        self.first = Mutex(consume first)
        self.options = options
        self.logger = logger
        self.decide = decide
        self.take = take
    }

    /// Declines what is offered from now on, and ends when nothing is undecided.
    func stop() {
        isStopping.store(true, ordering: .relaxed)
        wakePipe.wake()
    }

    /// Serves until stopped, or without a listener until the channel ends. Blocks its thread.
    func run() {
        var listener = listener.withLock { $0.take() }
        let isListening = listener != nil
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
            wait(listener, boxes)
            accept(listener, into: &boxes)
            boxes.removeAll { !step($0) }
        }
    }

    private func wait(_ listener: borrowing HandoffListener?, _ boxes: [Box]) {
        var polled = [pollfd(fd: wakePipe.descriptor, events: Int16(POLLIN), revents: 0)]
        switch listener {
        case .some(let listener): polled.append(pollfd(fd: listener.descriptor, events: Int16(POLLIN), revents: 0))
        case .none: break
        }
        var limit: CInt = -1
        for box in boxes {
            polled.append(pollfd(fd: box.channel.descriptor, events: box.channel.interest, revents: 0))
            guard let deadline = box.channel.deadline else { continue }
            let left = CInt(min(deadline.remainingMilliseconds, 60_000))
            limit = limit < 0 ? left : min(limit, left)
        }
        pollDescriptors(&polled, milliseconds: limit)
        if polled[0].revents != 0 { wakePipe.drain() }
    }

    private func accept(_ listener: borrowing HandoffListener?, into boxes: inout [Box]) {
        do {
            switch listener {
            case .some(let listener):
                while let socket = try listener.acceptWaiting() {
                    boxes.append(Box(ReceiverChannel(socket, options: options)))
                }
            case .none: break
            }
        } catch {
            logger.warning("a process that wants to hand connections over is refused", metadata: ["error": "\(error)"])
        }
    }

    /// Returns whether the channel goes on.
    private func step(_ box: Box) -> Bool {
        let isStopping = isStopping.load(ordering: .relaxed)
        do {
            while true {
                switch try box.channel.step({ isStopping ? .decline(.leaving) : decide($0) }) {
                case .received(let received):
                    let parcels = received.parcels
                    parcels.consumeEach { take($0) }
                case .discarded(let why):
                    logger.info("an offer came to nothing", metadata: ["why": "\(why)"])
                case .ended: return false
                case nil: return true
                }
            }
        } catch {
            logger.warning("a handoff channel has failed", metadata: ["error": "\(error)"])
            return false
        }
    }
}
