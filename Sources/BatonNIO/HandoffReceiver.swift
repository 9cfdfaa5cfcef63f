internal import BatonCore
internal import Glibc
package import Handoff
package import Logging
internal import Synchronization

/// Takes parcels from other processes, on one thread: waits at a listener and at any number of channels.
package final class HandoffReceiver: Sendable {
    package typealias Decision = @Sendable (borrowing Parcel) -> Verdict

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
    private let logger: Logger
    private let decide: Decision
    private let take: @Sendable ([DetachedConnection]) -> Void

    /// - Parameters:
    ///   - listener: where owners connect; `nil` to take from `first` alone, and end with it.
    ///   - take: given the connections of an offer that are this process's now, on the receiver's thread.
    package init(
        listener: consuming HandoffListener?, first: consuming HandoffSocket? = nil, options: ReceiverOptions,
        logger: Logger, decide: @escaping Decision, take: @escaping @Sendable ([DetachedConnection]) -> Void
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
    package func stop() {
        isStopping.store(true, ordering: .relaxed)
        wakePipe.wake()
    }

    /// Serves until stopped, or without a listener until the channel ends. Blocks its thread.
    package func run() {
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
        if polled[0].revents != 0 { wakePipe.drain() }
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
            logger.warning("a process that wants to hand connections over is refused", metadata: ["error": "\(error)"])
            return error.code == .peerNotAllowed
        }
    }

    /// Returns whether the channel goes on.
    private func step(_ box: Box) -> Bool {
        let isStopping = isStopping.load(ordering: .relaxed)
        do {
            while true {
                switch try box.channel.step({ isStopping ? .decline(.leaving) : decide($0) }) {
                case .received(let received):
                    var connections: [DetachedConnection] = []
                    received.parcels.consumeEach { connections.append(DetachedConnection($0)) }
                    take(connections)
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
