internal import BatonConfiguration
internal import BatonCore
internal import BatonNIO
internal import Foundation
internal import Handoff
internal import Libc

/// What the access log says of a connection at its end. Text may come from a peer; it is cut and escaped where it is written.
struct AccessRecord: Codable, Sendable, Equatable {
    /// Why a connection has ended, or has not begun.
    enum End: String, Codable, Sendable {
        /// Both sides have ended in order. `client-` and `upstream-closed` say who was first.
        case closed
        case clientClosed = "client-closed"
        case upstreamClosed = "upstream-closed"
        /// A side was reset, or its TLS ended without close_notify.
        case clientReset = "client-reset"
        case upstreamReset = "upstream-reset"
        /// A side broke the protocol, or sent a fatal alert.
        case clientTLSError = "client-tls-error"
        case upstreamTLSError = "upstream-tls-error"
        case idleTime = "idle-time"
        /// This server has ended it: at its stop, or by a decision of its own.
        case server
        case handshakeFailed = "handshake-failed"
        /// It was closed by a limit or a rule before it had a target.
        case refused
        case upstreamUnreachable = "upstream-unreachable"
        /// Its worker has died, and nobody could go on with it.
        case workerDied = "worker-died"
        /// Nobody could serve it.
        case notServed = "not-served"
    }

    var id: String?
    var listener: String?
    var peer: String?
    var local: String?
    var serverName: String?
    var applicationProtocol: String?
    var version: String?
    var suite: String?
    /// Of the client's certificate.
    var subject: String?
    var route: String?
    var target: String?
    /// The upstream's address that was connected to.
    var upstream: String?
    /// Milliseconds until the upstream was connected and ready.
    var connectTime: UInt64?
    var traffic: ConnectionTraffic?
    /// When it was accepted, in milliseconds since 1970.
    var acceptedAt: UInt64?
    var moves: UInt32?
    var standstill: Standstill?
    var end = End.closed
    var detail: String?
    /// Lines of this kind that were left out before this one.
    var unlogged: Int?

    // MARK: Its line

    /// - Parameter now: milliseconds since 1970.
    func line(_ format: AccessLogFormat, at now: UInt64) -> String {
        var line = AccessLine(format)
        line.add("time", AccessLine.time(now))
        line.add("id", id)
        line.add("listener", listener)
        line.add("peer", peer)
        line.add("local", local)
        line.add("tls", version)
        line.add("suite", suite)
        line.add("sni", serverName)
        line.add("alpn", applicationProtocol)
        line.add("subject", subject)
        line.add("route", route)
        line.add("target", target)
        line.add("upstream", upstream)
        line.add("connect_ms", connectTime)
        line.add("bytes_in", traffic?.receivedFromClient)
        line.add("bytes_out", traffic?.sentToClient)
        if traffic?.hasUpstream == true {
            line.add("upstream_bytes_in", traffic?.receivedFromUpstream)
            line.add("upstream_bytes_out", traffic?.sentToUpstream)
        }
        line.add("duration_ms", acceptedAt.map { now > $0 ? now - $0 : 0 })
        line.add("moves", moves.map(UInt64.init))
        if let standstill, standstill.adoptions > 0 { line.add("adoptions", UInt64(standstill.adoptions)) }
        if let moves, moves > 0 {
            line.add("pause_max_us", (standstill?.longest ?? 0) / 1_000)
            line.add("pause_total_us", (standstill?.total ?? 0) / 1_000)
        }
        line.add("end", end.rawValue)
        line.add("detail", detail)
        line.add("unlogged", unlogged.map { UInt64(max(0, $0)) })
        return line.text
    }
}

extension AccessRecord {
    /// - Parameter note: what is known of the connection.
    init(_ note: RelayNote, _ end: End, detail: String? = nil) {
        let metadata = note.metadata
        id = metadata.logID
        listener = metadata.listener
        peer = metadata.source.map { "\($0)" }
        local = metadata.destination.map { "\($0)" }
        serverName = note.security?.serverName
        applicationProtocol = note.security?.applicationProtocol
        version = note.security?.version
        suite = note.security?.cipher
        subject = note.security?.subject
        route = metadata.route
        target = metadata.target.map { "\($0)" }
        upstream = metadata.upstreamAddress
        connectTime = metadata.connectTime
        acceptedAt = metadata.acceptedAt
        moves = metadata.moves
        standstill = metadata.standstill
        self.end = end
        self.detail = detail
    }
}

/// Bytes of a connection on the wire, to its end: with TLS as it was sent, and the handshake.
struct ConnectionTraffic: Codable, Sendable, Equatable {
    var receivedFromClient: UInt64 = 0
    var sentToClient: UInt64 = 0
    var receivedFromUpstream: UInt64 = 0
    var sentToUpstream: UInt64 = 0
    var hasUpstream = false
}

/// How long a connection has stood still when it moved.
struct Standstill: Codable, Sendable, Equatable {
    /// Nanoseconds, of all moves together and of the longest.
    private(set) var total: UInt64 = 0
    private(set) var longest: UInt64 = 0
    /// How often it has gone on in another worker because its own had died. How long it stood still then nobody knows.
    var adoptions: UInt32 = 0

    init() {}

    /// Reads what `encoded` wrote; nil: it is something else.
    init?(_ bytes: [UInt8]) {
        guard bytes.count == 20 else { return nil }
        func number(_ range: Range<Int>) -> UInt64 { bytes[range].reduce(0) { $0 << 8 | UInt64($1) } }
        (total, longest, adoptions) = (number(0..<8), number(8..<16), UInt32(truncatingIfNeeded: number(16..<20)))
    }

    var encoded: [UInt8] {
        withUnsafeBytes(of: total.bigEndian) { Array($0) } + withUnsafeBytes(of: longest.bigEndian) { Array($0) }
            + withUnsafeBytes(of: adoptions.bigEndian) { Array($0) }
    }

    mutating func add(_ pause: UInt64) {
        total = total.addingReportingOverflow(pause).overflow ? .max : total + pause
        longest = max(longest, pause)
    }
}

/// A line of names and values, in either format.
private struct AccessLine {
    /// The most bytes of a value, as it is written.
    private static let longestValue = 300

    private let format: AccessLogFormat
    private var written = ""

    init(_ format: AccessLogFormat) { self.format = format }

    var text: String { format == .json ? "{\(written)}" : written }

    mutating func add(_ name: String, _ value: UInt64?) {
        guard let value else { return }
        begin(name)
        written += "\(value)"
    }

    mutating func add(_ name: String, _ value: String?) {
        guard let value else { return }
        begin(name)
        let escaped = Self.escaped(value)
        switch format {
        case .json: written += "\"\(escaped)\""
        case .logfmt: written += Self.isPlain(escaped) ? escaped : "\"\(escaped)\""
        }
    }

    private mutating func begin(_ name: String) {
        switch format {
        case .json: written += written.isEmpty ? "\"\(name)\":" : ",\"\(name)\":"
        case .logfmt: written += written.isEmpty ? "\(name)=" : " \(name)="
        }
    }

    /// Needs no quotes in logfmt.
    private static func isPlain(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy {
                $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=")
                    && $0 != UInt8(ascii: "\\")
            }
    }

    /// As RFC 8259 section 7 has it, with everything escaped that commands a terminal, breaks a line or turns the direction of
    /// what stands behind it; cut where it is too long.
    private static func escaped(_ text: String) -> String {
        var result = ""
        var count = 0
        for scalar in text.unicodeScalars {
            let piece: String
            switch scalar.value {
            case 0x22: piece = "\\\""
            case 0x5C: piece = "\\\\"
            case 0..<0x20, 0x7F..<0xA0, 0xAD, 0x061C, 0x200B...0x200F, 0x2028...0x202E, 0x2060...0x2069, 0xFEFF,
                0xFFF9...0xFFFB:
                let digits = String(scalar.value, radix: 16)
                piece = "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: piece = String(scalar)
            }
            count += piece.utf8.count
            guard count <= longestValue else { return result + "…" }
            result += piece
        }
        return result
    }

    /// RFC 3339, in UTC, with milliseconds.
    static func time(_ milliseconds: UInt64) -> String {
        var seconds = time_t(clamping: milliseconds / 1_000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func digits(_ number: Int, _ count: Int) -> String {
            let text = "\(number)"
            return String(repeating: "0", count: max(0, count - text.count)) + text
        }
        let day =
            "\(digits(Int(parts.tm_year) + 1900, 4))-\(digits(Int(parts.tm_mon) + 1, 2))-\(digits(Int(parts.tm_mday), 2))"
        let clock = "\(digits(Int(parts.tm_hour), 2)):\(digits(Int(parts.tm_min), 2)):\(digits(Int(parts.tm_sec), 2))"
        return "\(day)T\(clock).\(digits(Int(milliseconds % 1_000), 3))Z"
    }
}
