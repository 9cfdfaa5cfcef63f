import BatonCore
import Glibc
import SampleArena
import SessionEngine
import TLSRecords

/// A session's sockets and the ends that the test has of them.
struct TestSession {
    let kind: SessionKind
    /// The session's own sockets, which the test keeps as the keeper does: that of one leg twice.
    let client: CInt
    let upstream: CInt
    /// What is connected to them; for a session of one leg both are the same.
    let peer: StreamEnd.Box
    let backend: StreamEnd.Box
    private let clientStart: Start
    private let upstreamStart: Start

    /// - Parameters:
    ///   - client: the suite of the client's leg; `nil`: plain.
    ///   - total: bytes that each end sends.
    ///   - unix: the legs that are on Unix sockets.
    init(
        client clientSuite: CipherSuite?, upstream upstreamSuite: CipherSuite?, seed: UInt64 = 1, total: UInt64,
        unix: UnixLegs = []
    ) throws {
        let (outer, inner) = unix.contains(.client) ? try UnixPair.make() : try TCPPair.make()
        let (near, far) = unix.contains(.upstream) ? try UnixPair.make() : try TCPPair.make()
        var clientPair = TLSPair(clientSuite)
        kind = .relay
        var upstreamPair = TLSPair(upstreamSuite)
        client = inner
        upstream = near
        peer = .init(
            StreamEnd(
                descriptor: outer, snapshot: clientPair.client.take(), seed: seed, peerSeed: seed + 1, total: total))
        backend = .init(
            StreamEnd(
                descriptor: far, snapshot: upstreamPair.server.take(), seed: seed + 1, peerSeed: seed, total: total))
        clientStart = Start(clientPair.server.take())
        upstreamStart = Start(upstreamPair.client.take())
    }

    /// A session that sends back what comes.
    init(echo suite: CipherSuite?, seed: UInt64 = 1, total: UInt64, isUnix: Bool = false) throws {
        let (outer, inner) = isUnix ? try UnixPair.make() : try TCPPair.make()
        var pair = TLSPair(suite)
        kind = .echo
        (client, upstream) = (inner, dup(inner))
        peer = .init(
            StreamEnd(descriptor: outer, snapshot: pair.client.take(), seed: seed, peerSeed: seed, total: total))
        backend = peer
        clientStart = Start(pair.server.take())
        upstreamStart = Start(nil)
    }

    /// A session that answers what comes.
    init(page suite: CipherSuite?, total: UInt64, isUnix: Bool = false) throws {
        let (outer, inner) = isUnix ? try UnixPair.make() : try TCPPair.make()
        var pair = TLSPair(suite)
        kind = .page
        (client, upstream) = (inner, dup(inner))
        peer = .init(
            StreamEnd(
                descriptor: outer, snapshot: pair.client.take(), seed: 1, peerSeed: 1, total: total, isOfPage: true))
        backend = peer
        clientStart = Start(pair.server.take())
        upstreamStart = Start(nil)
    }

    var ends: [StreamEnd.Box] { kind == .relay ? [peer, backend] : [peer] }

    /// - Returns: the slot.
    func begin(in engine: inout Engine, number: UInt64 = 1) throws -> Int {
        let client = SessionLeg(descriptor: dup(client), snapshot: clientStart.snapshot.take())
        switch kind {
        case .relay: break
        case .echo: return try engine.begin(SessionAtRest(number: number, echoTo: client))
        case .page: return try engine.begin(SessionAtRest(number: number, pageTo: client))
        }
        return try engine.begin(
            SessionAtRest(
                number: number, client: client,
                upstream: SessionLeg(descriptor: dup(upstream), snapshot: upstreamStart.snapshot.take())))
    }

    /// What a new owner gets.
    var duplicates: (client: CInt, upstream: CInt) { (dup(client), dup(upstream)) }

    /// Has the kernel hold little that the client does not read.
    func limitClientOutput() {
        var size: CInt = 16_384
        setsockopt(client, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<CInt>.size))
    }

    func close() {
        Glibc.close(client)
        Glibc.close(upstream)
    }

    private final class Start {
        var snapshot: Snapshot?
        init(_ snapshot: consuming Snapshot?) { self.snapshot = snapshot }
    }
}

extension StreamEnd {
    /// Does what the ends' sockets are ready for.
    static func step(_ ends: [Box], milliseconds: Int32) {
        var polled = ends.map {
            pollfd(
                fd: $0.end.isDone || $0.end.interest == 0 ? -1 : $0.end.descriptor, events: $0.end.interest, revents: 0)
        }
        guard poll(&polled, nfds_t(polled.count), milliseconds) > 0 else { return }
        for (index, entry) in polled.enumerated() where entry.revents != 0 { ends[index].end.step(entry.revents) }
    }
}

/// Both ends of one TLS connection, or of none.
struct TLSPair: ~Copyable {
    var client: Snapshot?
    var server: Snapshot?

    init(_ suite: CipherSuite?) {
        client = nil
        server = nil
        guard let suite else { return }
        let secrets = (0..<2).map { _ in (0..<DirectionState.secretLength(suite)).map { _ in UInt8.random(in: 0...255) }
        }
        let exporter = [UInt8](repeating: 7, count: suite.version == .tls13 ? suite.hash.length : 112)
        func snapshot(_ role: Role, _ read: [UInt8], _ write: [UInt8]) -> Snapshot? {
            // A small limit on the side of the session makes its key change by itself.
            Snapshot(
                established: ConnectionInfo(role: role, suite: suite),
                limits: RecordLimits(suite.version, blocksPerKey: suite.version == .tls13 ? 2_000 : nil),
                read: DirectionState(secret: SecretBytes(copying: read.span.bytes)),
                write: DirectionState(
                    secret: SecretBytes(copying: write.span.bytes), explicitNonce: suite.usesExplicitNonce ? 7 : 0),
                exporter: SecretBytes(copying: exporter.span.bytes))
        }
        client = snapshot(.client, secrets[1], secrets[0])
        server = snapshot(.server, secrets[0], secrets[1])
    }
}

extension Engine {
    /// Begins one session, and returns its slot.
    mutating func begin(_ session: consuming SessionAtRest) throws -> Int {
        let number = session.number
        if let (_, error) = begin([SessionParcel(session)]).first { throw error }
        // One that both sides have ended already is over at once.
        return list(after: number == 0 ? nil : number - 1, limit: 1).first?.slot.slot ?? -1
    }
}

extension Connection {
    /// What a peer has said by these bytes.
    mutating func open(_ ciphertext: ArraySlice<UInt8>) throws -> [UInt8] {
        receive(ciphertext.span.bytes)
        var content: [UInt8] = []
        while let event = try nextEvent(), case .applicationData(let length) = event {
            content += withUnread { $0.withUnsafeBytes { Array($0) } }
            consumeUnread(length)
        }
        return content
    }
}

extension [SessionParcel] {
    /// Closes the sockets of sessions that nobody goes on with.
    func close() {
        for parcel in self {
            guard let session = parcel.take() else { continue }
            Glibc.close(session.client.descriptor)
            Glibc.close(session.upstream.descriptor)
        }
    }
}
