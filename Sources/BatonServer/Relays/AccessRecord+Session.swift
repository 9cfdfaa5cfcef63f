internal import Handoff
internal import SessionEngine

extension AccessRecord {
    /// A session of an engine at its end. `nil` if its note cannot be read.
    init?(_ session: SessionSummary, _ outcome: SessionOutcome) {
        guard var note = RelayNote(session.note) else { return nil }
        note.metadata.moves &+= session.handovers
        self.init(note, End(outcome, first: session.firstEnd))
        switch outcome {
        case .protocolError(_, let error?): detail = "\(error)"
        case .reset, .protocolError, .idle, .closed, .inOrder: break
        }
        let total = (note.metadata.traffic ?? session.before) &+ session.counts
        traffic = ConnectionTraffic(
            receivedFromClient: total.receivedFromClient, sentToClient: total.writtenToClient,
            receivedFromUpstream: total.receivedFromUpstream, sentToUpstream: total.writtenToUpstream,
            hasUpstream: note.metadata.upstreamAddress != nil)
    }
}

extension AccessRecord.End {
    init(_ outcome: SessionOutcome, first: SessionSide?) {
        self =
            switch (outcome, first) {
            case (.inOrder, .client?): .clientClosed
            case (.inOrder, .upstream?): .upstreamClosed
            case (.inOrder, nil): .closed
            case (.reset(let side), _): side == .client ? .clientReset : .upstreamReset
            case (.protocolError(let side, _), _): side == .client ? .clientTLSError : .upstreamTLSError
            case (.idle, _): .idleTime
            case (.closed, _): .server
            }
    }
}
