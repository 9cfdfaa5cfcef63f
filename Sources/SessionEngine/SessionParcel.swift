internal import Libc
internal import Synchronization
package import TLSRecords

/// One side of a session at rest, on its way into an engine or out of one: its socket, its TLS if it has any, and the bytes
/// that are between its peer and the other side.
package struct SessionLeg: ~Copyable, Sendable {
    /// A connected TCP or Unix stream socket that does not block. Whoever has the leg owns it; nothing closes it by itself.
    package var descriptor: CInt
    /// The connection of which the socket is the transport, with the ciphertext that it has received and not opened, and
    /// the ciphertext that waits to be written; `nil`: the leg is plain.
    package var snapshot: Snapshot?
    /// A plain leg: bytes read and not passed on.
    package var received: [UInt8] = []
    /// A plain leg: bytes for its peer that the kernel has not taken.
    package var unsent: [UInt8] = []
    /// The peer's end in order (FIN, or close_notify, of which the snapshot knows) has been read. It goes to the other side
    /// behind `received`, unless that side's `isOutputClosed` says that it has been passed on.
    package var isInputClosed = false
    /// Our end in order has been queued behind `unsent`, because the other side has ended. A TLS leg's snapshot knows it too.
    package var isOutputClosed = false
    /// Our FIN has been given to the kernel. Where a leg comes into an engine, the kernel is asked.
    package var isShut = false

    package init(descriptor: CInt, snapshot: consuming Snapshot? = nil) {
        self.descriptor = descriptor
        self.snapshot = snapshot
    }
}

/// What a session does. The numbers are those of arena.h.
package enum SessionKind: UInt32, Sendable {
    /// What comes from either leg goes to the other.
    case relay = 1
    /// What comes goes back. There is the client's leg alone.
    case echo = 2
    /// What comes are HTTP requests, which are answered. There is the client's leg alone.
    case page = 3

    /// Whether there is a second leg.
    var hasUpstream: Bool { self == .relay }
}

/// A session at rest: everything an engine needs to go on with it, and what it gives back.
package struct SessionAtRest: ~Copyable, Sendable {
    /// Chosen by who begins it first; no two sessions of an engine have the same.
    package var number: UInt64
    package let kind: SessionKind
    package var client: SessionLeg
    /// Without a descriptor (−1) where the kind has no such leg.
    package var upstream: SessionLeg
    /// The caller's own description of the session; opaque here, at most `SessionAtRest.longestNote` bytes.
    package var note: [UInt8]
    /// Milliseconds without a byte either way after which the session is reset; 0: none.
    package var idleLimit: UInt32 = 0
    /// Bytes a second that either side is read; 0: as many as come. It is not kept: whoever begins or adopts a session says it.
    package var bandwidth: UInt64 = 0
    /// Milliseconds that have passed without a byte.
    package var idleTime: UInt64 = 0
    /// How often it has come to another owner with its arena, since it came into that.
    package internal(set) var handovers: UInt32 = 0
    /// Bytes on the wire while it was in that, without those that go along unread, and what the kernel had counted before.
    package internal(set) var counts = SessionCounts()
    package internal(set) var before = SessionCounts()
    /// After as many records of application data, or reads of a plain leg, from the client, `SessionEvent.due` is told; 0: never.
    package var moveEvery: UInt32 = 0

    /// Of a page: where its next request has come to.
    package let scanner: RequestScanner
    /// Of a page with TLS: plaintext that a former owner has read and not answered.
    package var early: [UInt8] = []

    package static let longestNote = 32_768

    package init(
        number: UInt64, client: consuming SessionLeg, upstream: consuming SessionLeg, note: [UInt8] = []
    ) {
        self.number = number
        kind = .relay
        scanner = RequestScanner()
        self.client = client
        self.upstream = upstream
        self.note = note
    }

    /// A session that sends back what comes from `client`.
    package init(number: UInt64, echoTo client: consuming SessionLeg, note: [UInt8] = []) {
        self.number = number
        kind = .echo
        scanner = RequestScanner()
        self.client = client
        upstream = SessionLeg(descriptor: -1)
        self.note = note
    }

    /// A session that answers what `client` asks.
    package init(
        number: UInt64, pageTo client: consuming SessionLeg, scanner: RequestScanner = RequestScanner(),
        note: [UInt8] = []
    ) {
        self.number = number
        kind = .page
        self.client = client
        upstream = SessionLeg(descriptor: -1)
        self.scanner = scanner
        self.note = note
    }
}

/// A place for a session at rest, so that many can travel together and cross threads. It gives its session once.
package final class SessionParcel: Sendable {
    /// Of the session that it holds or held.
    package let number: UInt64
    private let session: Mutex<SessionAtRest?>

    package init(_ session: consuming SessionAtRest) {
        number = session.number
        self.session = Mutex(consume session)
    }

    /// The session, which is the caller's from then on; `nil` if somebody has taken it.
    package func take() -> SessionAtRest? { session.withLock { $0.take() } }

    /// Puts a session back that could not begin.
    func restore(_ session: consuming SessionAtRest) {
        var session: SessionAtRest? = consume session
        self.session.withLock { $0 = session.take() }
    }
}
