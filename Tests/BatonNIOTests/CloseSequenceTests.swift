import NIOCore
import Testing

@testable import BatonNIO

/// How connections end: every phase with every event, in every situation.
@Suite struct CloseSequenceTests {
    typealias Action = CloseSequence.Action
    typealias Event = CloseSequence.Event
    typealias Situation = CloseSequence.Situation

    /// The phases, each with the way that leads there.
    enum Phase: CaseIterable {
        case open, outputEnding, outputEnded, writing, lingering, resetting, acknowledging, closed

        var sequence: CloseSequence {
            var sequence = CloseSequence()
            let waiting = Situation(isPlain: true, hasPending: true)
            let written = Situation(isPlain: true)
            switch self {
            case .open: break
            case .outputEnding: _ = sequence.handle(.closeOutput(peerHasEnded: false), waiting)
            case .outputEnded:
                _ = sequence.handle(.closeOutput(peerHasEnded: false), written)
                _ = sequence.handle(.progress, written)
            case .writing: _ = sequence.handle(.close, waiting)
            case .lingering:
                _ = sequence.handle(.close, waiting)
                _ = sequence.handle(.progress, written)
            case .resetting: _ = sequence.handle(.reset(discarding: false), waiting)
            case .acknowledging:
                _ = sequence.handle(.reset(discarding: false), waiting)
                _ = sequence.handle(.progress, written)
            case .closed: _ = sequence.handle(.reset(discarding: true), waiting)
            }
            return sequence
        }
    }

    static let phases: [Phase] = Phase.allCases
    static let events: [Event] = [
        .activated, .closeOutput(peerHasEnded: false), .closeOutput(peerHasEnded: true), .close,
        .reset(discarding: false), .reset(discarding: true), .progress, .unacknowledged(0), .unacknowledged(9),
        .timeLimit(before: 9, left: 8), .timeLimit(before: 9, left: 9),
    ]
    static let situations: [Situation] = (0..<16).map { bits in
        Situation(
            isActive: bits & 1 == 0, isPlain: bits & 2 == 0, hasPending: bits & 4 == 0, hasPeerEnded: bits & 8 == 0)
    }

    /// The table: what is to be done.
    private func wanted(_ phase: Phase, _ event: Event, _ now: Situation) -> [Action] {
        let writing: [Action] = now.isActive ? [.limitTime, .write] : [.cutOff(reset: now.hasPending)]
        switch (phase, event) {
        case (.closed, .activated): return [.write]
        case (.closed, .closeOutput): return [.refuse]
        case (.closed, _): return []

        case (.writing, .activated): return [.limitTime, .write]
        case (_, .activated): return [.write]

        case (.open, .closeOutput(peerHasEnded: false)): return [.endOutput, .write]
        case (.open, .closeOutput(peerHasEnded: true)): return [.endOutput, .abandonHandshake] + writing
        case (_, .closeOutput): return [.refuse]

        case (.open, .close), (.outputEnding, .close), (.outputEnded, .close):
            return [.abandonHandshake, .endOutput] + writing
        case (_, .close): return []

        case (_, .reset(discarding: true)): return [.abandonHandshake, .cutOff(reset: true)]
        case (_, .reset) where !now.isActive: return [.abandonHandshake, .cutOff(reset: true)]
        case (.resetting, .reset), (.acknowledging, .reset): return []
        case (_, .reset): return [.abandonHandshake, .limitTime, .write]

        case (_, .progress) where now.hasPending: return []
        case (.outputEnding, .progress): return now.isPlain ? [.sendFIN] : []
        case (.writing, .progress): return now.hasPeerEnded ? [.cutOff(reset: false)] : [.sendFIN, .read]
        case (.lingering, .progress): return now.hasPeerEnded ? [.cutOff(reset: false)] : []
        case (.resetting, .progress): return [.countUnacknowledged(after: nil)]
        case (_, .progress): return []

        case (.acknowledging, .unacknowledged(0)): return [.cutOff(reset: true)]
        case (.acknowledging, .unacknowledged): return [.countUnacknowledged(after: .milliseconds(1))]
        case (_, .unacknowledged): return []

        case (.open, .timeLimit), (.outputEnding, .timeLimit), (.outputEnded, .timeLimit): return []
        case (_, .timeLimit(let before, let left)) where left < before: return [.limitTime]
        case (.resetting, .timeLimit), (.acknowledging, .timeLimit): return [.cutOff(reset: true)]
        case (_, .timeLimit): return [.cutOff(reset: now.hasPending)]
        }
    }

    @Test("every phase answers every event as the table says, in every situation", arguments: phases, events)
    func table(phase: Phase, event: Event) {
        for situation in Self.situations {
            var sequence = phase.sequence
            #expect(
                sequence.handle(event, situation) == wanted(phase, event, situation), "\(phase) \(event) \(situation)")
        }
    }

    @Test("FIN is sent once, behind what was written, also if the output was ended before", arguments: [true, false])
    func oneFIN(isPlain: Bool) {
        var sequence = CloseSequence()
        var actions = sequence.handle(
            .closeOutput(peerHasEnded: false), Situation(isPlain: isPlain, hasPending: true))
        actions += sequence.handle(.progress, Situation(isPlain: isPlain, hasPending: true))
        #expect(!actions.contains(.sendFIN))
        for _ in 0..<3 { actions += sequence.handle(.progress, Situation(isPlain: isPlain)) }
        actions += sequence.handle(.close, Situation(isPlain: isPlain))
        for _ in 0..<3 { actions += sequence.handle(.progress, Situation(isPlain: isPlain)) }
        #expect(actions.count { $0 == .sendFIN } == 1)
        #expect(actions.last == .read)
    }

    @Test("who waits for the kernel asks less and less often, and at least every 50 ms")
    func delays() {
        var sequence = Phase.acknowledging.sequence
        let delays = (0..<9).flatMap { _ in sequence.handle(.unacknowledged(1), Situation()) }
        #expect(
            delays
                == [1, 2, 4, 8, 16, 32, 50, 50, 50].map { Action.countUnacknowledged(after: .milliseconds($0)) })
    }

    /// A state, and what has been done on the way to it.
    private struct Run: Hashable {
        var sequence = CloseSequence()
        var hasSentFIN = false
        var isCutOff = false
    }

    @Test("whatever comes, and in whatever order, the socket is closed once, and FIN is sent at most once, before that")
    func everyOrder() {
        var reached: Set<Run> = [Run()]
        var waiting = [Run()]
        while let run = waiting.popLast() {
            for event in Self.events {
                for situation in Self.situations {
                    var next = run
                    for action in next.sequence.handle(event, situation) {
                        switch action {
                        case .sendFIN:
                            #expect(!next.hasSentFIN && !next.isCutOff, "\(run) \(event) \(situation)")
                            next.hasSentFIN = true
                        case .cutOff:
                            #expect(!next.isCutOff, "\(run) \(event) \(situation)")
                            next.isCutOff = true
                        default: break
                        }
                    }
                    #expect(!next.isCutOff || next.sequence.isClosing && !next.sequence.isMovable)
                    #expect(next.hasSentFIN == (next.sequence.output == .ended))
                    if reached.insert(next).inserted { waiting.append(next) }
                }
            }
        }
        #expect(reached.contains { $0.isCutOff && $0.hasSentFIN } && reached.contains { $0.isCutOff && !$0.hasSentFIN })
    }

    @Test("a connection that moves goes on closing where its former owner stopped")
    func moved() {
        for phase in Phase.allCases where phase.sequence.isMovable {
            let before = phase.sequence
            var after = CloseSequence(isClosing: before.isWriting, output: before.output)
            for event in Self.events {
                for situation in Self.situations {
                    var (one, other) = (before, after)
                    #expect(one.handle(event, situation) == other.handle(event, situation), "\(phase) \(event)")
                }
            }
            _ = after.handle(.activated, Situation())
            #expect(after.isWriting == before.isWriting && after.output == before.output)
        }
        #expect(Phase.allCases.filter(\.sequence.isMovable) == [.open, .outputEnding, .outputEnded, .writing])
    }
}
