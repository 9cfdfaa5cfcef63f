/// What a peer has made us do for nothing, and how much of that is too much.
///
/// Records without content, warnings, post-handshake messages and requests to renegotiate are legal and cost us work. Each
/// is counted in a row: application data in either direction, or a second that passes, begins the row anew. So a peer that
/// only listens, or is idle for years and changes its key every hour, is never cut off, and a flood ends.
///
/// KeyUpdates have an account beside. A JDK whose key has been used up sends one for every record that it reads until our
/// answer has arrived (JDK-8329548), which may be thousands, because so many records were under way to it. So each record
/// of data that we send allows one KeyUpdate, whenever it comes.
struct Counters: Sendable, Equatable {
    static let most: UInt8 = 32
    static let maxWarnings: UInt8 = 4
    static let maxRenegotiations: UInt8 = 4
    /// More records than are ever under way to a peer: 10 MB of the smallest ones would be a third of it.
    static let maxPaidKeyUpdates: UInt32 = 1 << 20
    /// How long a row lasts, in milliseconds.
    static let rowDuration: UInt64 = 1_000

    var emptyRecords: UInt8 = 0
    var warnings: UInt8 = 0
    /// KeyUpdates that no record of ours has paid for, and NewSessionTickets.
    var messages: UInt8 = 0
    var renegotiations: UInt8 = 0
    /// Records of application data we have sent that no KeyUpdate has been counted against.
    var paidKeyUpdates: UInt32 = 0

    /// Application data has come.
    mutating func noteReceived() {
        emptyRecords = 0
        warnings = 0
        messages = 0
    }

    /// A record of application data has been sent.
    mutating func noteSent(_ version: TLSVersion) {
        noteReceived()
        if version == .tls13, paidKeyUpdates < Counters.maxPaidKeyUpdates { paidKeyUpdates += 1 }
    }

    /// Time has passed.
    mutating func beginAnew() {
        noteReceived()
        renegotiations = 0
    }

    /// The four that a snapshot writes as one field.
    var inARow: [UInt8] { [emptyRecords, warnings, messages, renegotiations] }

    var areWithinLimits: Bool {
        emptyRecords <= Counters.most && warnings <= Counters.maxWarnings && messages <= Counters.most
            && renegotiations <= Counters.maxRenegotiations && paidKeyUpdates <= Counters.maxPaidKeyUpdates
    }
}
