package import TLSRecords

/// What an engine tells of its sessions, each thing once.
package enum SessionEvent: Sendable {
    /// The engine has its arena.
    case started
    /// The engine has taken a session over.
    ///
    /// - Parameter servedAt: when that could be served again, on the monotonic clock in nanoseconds.
    case adopted(SessionSummary, servedAt: UInt64)
    /// The engine could not take over a session.
    case lost(LostSession)
    /// Nothing is left to take over.
    case settled
    /// The engine could not have its arena. Nothing more comes.
    case failed(ArenaError)
    /// What there is to say of the session whose end is told next. Only where `SessionLimits.describesEnds` asks for it.
    case described(SessionSummary)
    /// The session is over and its sockets are closed.
    case ended(UInt64, SessionOutcome)
    /// The client has sent as much as `moveEvery` says. Nothing is done for the session until it is taken out, cannot be, or is
    /// said to go on here.
    case due(UInt64)
    /// The engine has relinquished its arena at this moment, on the monotonic clock in nanoseconds. Nothing more comes.
    case stopped(at: UInt64)
}

/// A side of a session.
package enum SessionSide: Sendable, Equatable {
    case client
    case upstream
}

/// Why a session is over.
package enum SessionOutcome: Sendable, Equatable {
    /// Both sides have ended in order and have been told so, or a page has given its last answer.
    case inOrder
    /// A side was reset, or its TLS ended without close_notify (RFC 8446 section 6.1).
    case reset(SessionSide)
    /// A side's TLS could not go on; `nil`: a former owner knew why.
    case protocolError(SessionSide, TLSError?)
    /// No byte passed for as long as the session's limit.
    case idle
    /// The owner of the engine has ended it.
    case closed
}

extension SessionOutcome {
    /// In words, for a log.
    package var reason: String {
        switch self {
        case .inOrder: "it has ended in order"
        case .reset(let side): "the \(side) has reset it or was cut off"
        case .protocolError(let side, let error?): "TLS of the \(side): \(error)"
        case .protocolError(let side, nil): "TLS of the \(side) has failed before its worker came"
        case .idle: "no byte has passed for too long"
        case .closed: "this server has ended it"
        }
    }
}

/// A session as it is listed.
package struct SessionSummary: Sendable, Equatable {
    package var number: UInt64
    package var slot: SlotName
    package var note: [UInt8]
    package var counts: SessionCounts
    /// What the kernel had counted on the sockets before that; nothing of a Unix socket.
    package var before = SessionCounts()
    /// Who ended first, of a session in which a side has been told the other's end.
    package var firstEnd: SessionSide?
    /// Milliseconds since the last byte.
    package var idleTime: UInt64
    /// How often the session has come to another owner with its arena, in order.
    package var handovers: UInt32 = 0
}

/// Bytes on the wire since the session came into its slot, with those that came with it.
package struct SessionCounts: Sendable, Equatable {
    package var receivedFromClient: UInt64 = 0
    package var writtenToClient: UInt64 = 0
    package var receivedFromUpstream: UInt64 = 0
    package var writtenToUpstream: UInt64 = 0

    package init() {}

    init(_ client: (received: UInt64, written: UInt64), _ upstream: (received: UInt64, written: UInt64)) {
        (receivedFromClient, writtenToClient) = client
        (receivedFromUpstream, writtenToUpstream) = upstream
    }

    package static func &+ (first: SessionCounts, second: SessionCounts) -> SessionCounts {
        SessionCounts(
            (
                first.receivedFromClient &+ second.receivedFromClient, first.writtenToClient &+ second.writtenToClient
            ),
            (
                first.receivedFromUpstream &+ second.receivedFromUpstream,
                first.writtenToUpstream &+ second.writtenToUpstream
            ))
    }
}

/// A session that could not be taken over. Its sockets have been reset.
package struct LostSession: Sendable, Equatable {
    package var slot: Int
    /// What the slot says, which may be damaged.
    package var number: UInt64
    package var note: [UInt8]
    package var reason: AdoptionError
}

/// One session's stay in a slot.
package struct SlotName: Sendable, Hashable {
    package var slot: Int
    /// Counts the sessions of the slot.
    package var generation: UInt64

    package init(slot: Int, generation: UInt64) {
        self.slot = slot
        self.generation = generation
    }
}

/// The sockets of a session that is about to live. They stay the engine's: a keeper duplicates them.
///
/// A session of one leg has its socket twice, so that all sessions are alike to the keeper; whoever takes it over gets two
/// duplicates.
package struct SessionSockets: Sendable, Equatable {
    typealias Pair = (client: CInt, upstream: CInt)

    package var slot: SlotName
    package var client: CInt
    package var upstream: CInt
}

/// How the owner before ended, which decides about the session that it was working on.
package enum FormerEnd: Sendable, Equatable {
    /// It has relinquished the arena, or there was none.
    case relinquished
    /// Its process was killed from outside.
    case killed(owner: UInt64)
    /// It trapped, got a fault signal, or was killed because it did not answer.
    case fault(owner: UInt64)

    /// The same, without the owner's number.
    package enum Kind: Sendable, Equatable {
        case relinquished
        case killed
        case fault
    }

    var kind: Kind {
        switch self {
        case .relinquished: .relinquished
        case .killed: .killed
        case .fault: .fault
        }
    }

    /// - Parameter owner: of the arena; 0: it was relinquished, whatever became of its owner since.
    init(_ kind: Kind, owner: UInt64) {
        switch kind {
        case .relinquished: self = .relinquished
        case .killed: self = owner == 0 ? .relinquished : .killed(owner: owner)
        case .fault: self = owner == 0 ? .relinquished : .fault(owner: owner)
        }
    }

    var owner: UInt64 {
        switch self {
        case .relinquished: 0
        case .killed(let owner), .fault(let owner): owner
        }
    }
}

/// What holds for all sessions of an engine.
package struct SessionLimits: Sendable, Equatable {
    /// Bytes that wait for a slow reader before the other side is read no further. More than an extent (64 KiB) is as an
    /// extent.
    package var bufferSize: Int
    /// Milliseconds for which a peer that takes nothing of its last bytes, or does not end, is waited for.
    package var closeTimeout: UInt64
    /// Milliseconds after which an owner that still lives has shown that a session at which others died is not to blame.
    package var blameTime: UInt64
    /// The most bytes of a page's request head.
    package var headSize: Int
    /// Each answer of a page is its last, and who waits for none is told the end.
    package var isEnding: Bool
    /// Whether `SessionEvent.described` comes before each `ended`.
    package var describesEnds = false

    package init(
        bufferSize: Int = 65_536, closeTimeout: UInt64 = 10_000, blameTime: UInt64 = 60_000, headSize: Int = 16_384,
        isEnding: Bool = false
    ) {
        self.bufferSize = bufferSize
        self.closeTimeout = closeTimeout
        self.blameTime = blameTime
        self.headSize = headSize
        self.isEnding = isEnding
    }
}

/// Why a session stays where it is.
package enum ExtractError: Error, Sendable, Equatable {
    /// The engine has no session of that number.
    case unknown
    /// A side has failed or been reset, and the session is about to end.
    case ending
}
