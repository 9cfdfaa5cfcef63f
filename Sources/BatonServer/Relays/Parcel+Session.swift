internal import BatonConfiguration
internal import BatonCore
internal import BatonNIO
internal import Handoff
internal import SessionEngine
internal import TLSRecords

/// A relay travels between processes as a parcel and lies in the engine as a session: the same two connections. Likewise an
/// echo or a page, with one.
extension SessionAtRest {
    /// A session of a parcel: an echo or a page, as its target says, with one connection, a relay with two.
    ///
    /// - Parameter state: the parcel's application state.
    /// - Returns: `nil` if the parcel lacks something, or what it says of a connection contradicts; its sockets are closed.
    init?(number: UInt64, _ parcel: consuming Parcel, _ state: SessionState, note: [UInt8]) {
        guard var second = state.upstream else {
            if parcel.metadata.target == .hello {
                self.init(number: number, pageOf: parcel, state, note: note)
                return
            }
            guard let client = SessionLeg(echoOf: parcel, state) else { return nil }
            self.init(number: number, echoTo: client, note: note)
            return
        }
        guard parcel.sockets.count == 2 else { return nil }
        var clientSnapshot = parcel.snapshot.take()
        var upstreamSnapshot = parcel.secondSnapshot.take()
        // Read from the client by a former owner, and not passed on.
        let early = state.received + parcel.unread
        if !early.isEmpty {
            if let snapshot = upstreamSnapshot.take() {
                var connection = Connection(resuming: snapshot)
                guard (try? connection.send(early.span.bytes)) != nil else { return nil }
                upstreamSnapshot = connection.suspend()
            } else {
                second.unsent += early
            }
        }
        let (received, unsent, annotations) = (parcel.received, parcel.unsent, parcel.metadata.annotations)
        let sockets = parcel.sockets.takeAll()
        var client = SessionLeg(descriptor: sockets[0], snapshot: clientSnapshot.take())
        client.received = received
        client.unsent = unsent
        client.isOutputClosed = SessionLeg.isOutputClosed(annotations)
        var upstream = SessionLeg(descriptor: sockets[1], snapshot: upstreamSnapshot.take())
        upstream.received = second.received
        upstream.unsent = second.unsent
        upstream.isOutputClosed = SessionLeg.isOutputClosed(second.annotations)
        // A parcel tells of a plain connection what was said to its peer, not what its peer has said: an end that was passed
        // on has been read.
        client.isInputClosed = client.isPlain && upstream.isEnding
        upstream.isInputClosed = upstream.isPlain && client.isEnding
        self.init(number: number, client: client, upstream: upstream, note: note)
    }

    /// A page of a parcel.
    private init?(number: UInt64, pageOf parcel: consuming Parcel, _ state: SessionState, note: [UInt8]) {
        guard parcel.sockets.count == 1 else { return nil }
        // Read by a former owner, and not answered.
        let early = state.received + parcel.unread
        let (received, unsent, annotations) = (parcel.received, parcel.unsent, parcel.metadata.annotations)
        var client = SessionLeg(descriptor: parcel.sockets.takeAll()[0], snapshot: parcel.snapshot.take())
        client.received = client.isPlain ? early + received : received
        client.unsent = unsent
        client.isOutputClosed = SessionLeg.isOutputClosed(annotations)
        let isPlain = client.isPlain
        self.init(number: number, pageTo: client, scanner: state.scanner, note: note)
        if !isPlain { self.early = early }
    }

    /// The parcel of this session.
    consuming func parcel(_ metadata: ParcelMetadata) -> Parcel {
        var parcel = Parcel(metadata: metadata)
        if kind == .relay {
            var state = SessionState()
            state.upstream = UpstreamLeg(
                received: upstream.received, unsent: upstream.unsent, annotations: upstream.annotations)
            parcel.applicationState = state.encoded
        } else if kind == .page {
            var state = SessionState()
            state.scanner = scanner
            parcel.applicationState = state.encoded
        }
        parcel.metadata.annotations.merge(client.annotations) { _, new in new }
        parcel.received = client.received
        parcel.unsent = client.unsent
        parcel.sockets = DescriptorSet(owning: client.descriptor)
        if kind == .relay { parcel.sockets.append(owning: upstream.descriptor) }
        parcel.sockets.recordWritePositions()
        parcel.snapshot = client.snapshot.take()
        parcel.secondSnapshot = upstream.snapshot.take()
        return parcel
    }
}

extension SessionLeg {
    /// The connection of a parcel whose input goes back to it; `nil` if there is not one socket.
    fileprivate init?(echoOf parcel: consuming Parcel, _ state: SessionState) {
        guard parcel.sockets.count == 1 else { return nil }
        var snapshot = parcel.snapshot.take()
        var unsent = parcel.unsent
        // Read by a former owner, and not sent back.
        let early = state.received + parcel.unread
        if !early.isEmpty {
            if let taken = snapshot.take() {
                var connection = Connection(resuming: taken)
                guard (try? connection.send(early.span.bytes)) != nil else { return nil }
                snapshot = connection.suspend()
            } else {
                unsent += early
            }
        }
        let (received, isOutputClosed) = (parcel.received, Self.isOutputClosed(parcel.metadata.annotations))
        self.init(descriptor: parcel.sockets.takeAll()[0], snapshot: snapshot.take())
        self.received = received
        self.unsent = unsent
        self.isOutputClosed = isOutputClosed
        // The end that a plain peer is told is its own.
        isInputClosed = isPlain && isEnding
    }

    fileprivate static func isOutputClosed(_ annotations: [String: [UInt8]]) -> Bool {
        annotations[ConnectionHandler.Annotation.outputClosed] != nil
            || annotations[ConnectionHandler.Annotation.closing] != nil
    }

    /// What a snapshot has no place for: that our end to a plain peer follows (1) or has been sent (2).
    fileprivate var annotations: [String: [UInt8]] {
        guard isPlain, isOutputClosed else { return [:] }
        return [ConnectionHandler.Annotation.outputClosed: [isShut ? 2 : 1]]
    }

    fileprivate var isPlain: Bool {
        switch snapshot {
        case .none: true
        case .some: false
        }
    }
}
