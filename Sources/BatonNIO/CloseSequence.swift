internal import NIOCore

/// How a connection ends: in order, with what was written, close_notify and FIN first and the peer's own end awaited after;
/// or with a reset behind what was written. Ending the output alone is the first half of it.
///
/// It does no I/O and reads no clock: events go in, and what is to be done comes out.
struct CloseSequence: Hashable {
    /// How far our sending side has come.
    enum Output: Equatable {
        case open
        /// Its end waits behind what was written.
        case ending
        /// FIN has been sent.
        case ended
    }

    enum Event: Equatable {
        /// The channel has become active.
        case activated
        /// The application ends its side; `peerHasEnded` if it has been told that the peer has ended its own.
        case closeOutput(peerHasEnded: Bool)
        /// The connection is to end in order.
        case close
        /// The connection is to be broken off; `discarding` what waits.
        case reset(discarding: Bool)
        /// Something was written, or the peer has ended its side.
        case progress
        /// The kernel has so many bytes that the peer has not acknowledged.
        case unacknowledged(Int)
        /// The time limit has passed; so many bytes were left when it began, and are left.
        case timeLimit(before: Int, left: Int)
    }

    /// What decides beside the event.
    struct Situation: Equatable {
        var isActive = true
        var isPlain = false
        /// Whether bytes wait that the channel has not confirmed.
        var hasPending = false
        /// Whether the peer has ended its side, by FIN or close_notify.
        var hasPeerEnded = false
    }

    enum Action: Equatable {
        /// The application cannot end what has ended.
        case refuse
        /// The end of the output goes behind what was written: close_notify, with TLS.
        case endOutput
        /// A handshake under way is given up, and what was written for the time after it fails.
        case abandonHandshake
        case limitTime
        /// What waits is given to the channel.
        case write
        case sendFIN
        /// What the peer still sends is read and thrown away.
        case read
        /// The answer is `unacknowledged`; after the delay, if there is one.
        case countUnacknowledged(after: TimeAmount?)
        /// The socket is closed, with RST if it is to be a reset.
        case cutOff(reset: Bool)
    }

    private enum Phase: Hashable {
        case open
        /// What waits is written first.
        case writing
        /// Our side has ended; what the peer still sends is thrown away until it ends too.
        case lingering
        /// What waits is written and acknowledged first, because RST overtakes what the kernel has not sent, and makes some
        /// systems throw away what they have not read.
        case resetting
        /// Everything is written, and the kernel is asked again after `delay`.
        case acknowledging(delay: TimeAmount)
        case closed
    }

    private static let firstDelay = TimeAmount.milliseconds(1)
    private static let longestDelay = TimeAmount.milliseconds(50)

    private var phase: Phase
    private(set) var output: Output

    /// - Parameters:
    ///   - isClosing: whether a former owner has begun to close the connection.
    ///   - output: how far it had come with the output.
    init(isClosing: Bool = false, output: Output = .open) {
        phase = isClosing ? .writing : .open
        self.output = output
    }

    /// Whether the connection is being closed or reset. Nothing is read for the application any more, and nothing of it is
    /// taken.
    var isClosing: Bool { phase != .open }

    /// Whether what waits is written first, and then the connection ends in order.
    var isWriting: Bool { phase == .writing }

    /// Whether the connection can be moved: nobody can take over the wait for the peer's end, or a reset.
    var isMovable: Bool { phase == .open || phase == .writing }

    /// Whether it matters that everything is written.
    var awaitsProgress: Bool { phase != .open || output == .ending }

    mutating func handle(_ event: Event, _ situation: Situation) -> [Action] {
        switch event {
        case .activated: return phase == .writing ? [.limitTime, .write] : [.write]
        case .closeOutput(let peerHasEnded): return closeOutput(peerHasEnded, situation)
        case .close:
            guard phase == .open else { return [] }
            return [.abandonHandshake, .endOutput] + beginWriting(situation)
        case .reset(let discarding): return reset(discarding, situation)
        case .progress: return situation.hasPending ? [] : written(situation)
        case .unacknowledged(let count):
            guard case .acknowledging(let delay) = phase else { return [] }
            guard count > 0 else { return cutOff(reset: true) }
            phase = .acknowledging(delay: min(delay * 2, Self.longestDelay))
            return [.countUnacknowledged(after: delay)]
        case .timeLimit(let before, let left):
            switch phase {
            case .open, .closed: return []
            case .writing, .lingering, .resetting, .acknowledging: break
            }
            return left < before ? [.limitTime] : cutOff(reset: isResetting || situation.hasPending)
        }
    }

    private var isResetting: Bool {
        switch phase {
        case .resetting, .acknowledging: true
        case .open, .writing, .lingering, .closed: false
        }
    }

    private mutating func closeOutput(_ peerHasEnded: Bool, _ situation: Situation) -> [Action] {
        guard phase == .open, output == .open else { return [.refuse] }
        output = .ending
        return peerHasEnded ? [.endOutput, .abandonHandshake] + beginWriting(situation) : [.endOutput, .write]
    }

    private mutating func beginWriting(_ situation: Situation) -> [Action] {
        guard situation.isActive else { return cutOff(reset: situation.hasPending) }
        phase = .writing
        return [.limitTime, .write]
    }

    private mutating func reset(_ discarding: Bool, _ situation: Situation) -> [Action] {
        guard phase != .closed else { return [] }
        guard situation.isActive, !discarding else { return [.abandonHandshake] + cutOff(reset: true) }
        guard !isResetting else { return [] }
        phase = .resetting
        return [.abandonHandshake, .limitTime, .write]
    }

    private mutating func written(_ situation: Situation) -> [Action] {
        switch phase {
        case .open where output == .ending && situation.isPlain:
            output = .ended
            return [.sendFIN]
        case .open, .acknowledging, .closed: return []
        case .writing where !situation.hasPeerEnded:
            phase = .lingering
            guard output != .ended else { return [.read] }
            output = .ended
            return [.sendFIN, .read]
        case .lingering where !situation.hasPeerEnded: return []
        case .writing, .lingering: return cutOff(reset: false)
        case .resetting:
            phase = .acknowledging(delay: Self.firstDelay)
            return [.countUnacknowledged(after: nil)]
        }
    }

    private mutating func cutOff(reset: Bool) -> [Action] {
        phase = .closed
        return [.cutOff(reset: reset)]
    }
}
