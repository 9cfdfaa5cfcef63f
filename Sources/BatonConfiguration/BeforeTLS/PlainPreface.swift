/// The plain part of a protocol that begins without TLS and turns to it, on the server's side, as stunnel's `protocol=`
/// does it: SMTP (RFC 3207), IMAP (RFC 9051 section 6.2.1) and PostgreSQL's SSLRequest.
///
/// Bytes in, bytes out; no I/O and no clock. The caller writes `greeting`, passes on what it reads, and sends each
/// step's `reply` before it does what `next` says. It serves nothing but the way to TLS: no mail, no log-in, no query.
///
/// What arrives between the command and the handshake would be read as if it had come over TLS (CVE-2011-0411 and
/// CVE-2021-23214), so bytes behind the command in the same read end the connection.
package struct PlainPreface: Sendable {
    /// Which protocol is spoken before TLS.
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        /// SMTP: EHLO and STARTTLS.
        case smtp
        /// IMAP: STARTTLS.
        case imap
        /// PostgreSQL: SSLRequest; or a ClientHello at once, as clients from version 17 may send.
        case postgres
    }

    /// What comes after a step.
    package enum Next: Hashable, Sendable {
        /// Wait for more bytes.
        case read
        /// Begin the TLS handshake with these bytes, which are part of it; usually none.
        case beginTLS([UInt8])
        /// Give these bytes, which need no TLS, to the target, and nothing that may follow them.
        case forward([UInt8])
        /// Close the connection, for this reason.
        case close(Ending)
    }

    /// Why the plain part ended without TLS.
    package enum Ending: String, Hashable, Sendable {
        /// The peer said good-bye.
        case quit
        /// The peer wants to go on without TLS, or wants something that is not served here.
        case refused
        /// Bytes followed the command that turns to TLS.
        case pipelinedPlaintext
        /// A line or packet, or all of them together, went over the limit.
        case tooLong
        /// What arrived is not this protocol.
        case malformed
    }

    /// What to send, and what to do then.
    package struct Step: Hashable, Sendable {
        /// The bytes to send first.
        package var reply: [UInt8]
        /// What to do then.
        package var next: Next
    }

    /// The most bytes that the plain part may take in all.
    package static let totalLimit = 8192
    /// The most bytes of a line with its CR LF: RFC 5321 section 4.5.3.1.4, and ample for IMAP before log-in.
    package static let lineLimit = 512

    private enum Machine: Sendable {
        case smtp(SMTPPreface)
        case imap(IMAPPreface)
        case postgres(PostgresPreface)
    }

    private var machine: Machine
    private var received = 0
    private var pending: [UInt8] = []
    private var ended = false

    /// Creates the plain part of one connection.
    ///
    /// - Parameter hostName: how the server calls itself; of a name that is not a host name `localhost` is used.
    package init(_ kind: Kind, hostName: String) {
        let host = HostName(hostName)?.text ?? "localhost"
        machine =
            switch kind {
            case .smtp: .smtp(SMTPPreface(hostName: host))
            case .imap: .imap(IMAPPreface(hostName: host))
            case .postgres: .postgres(PostgresPreface())
            }
    }

    /// What the server says first; PostgreSQL's says nothing.
    package var greeting: [UInt8] {
        switch machine {
        case .smtp(let smtp): smtp.greeting
        case .imap(let imap): imap.greeting
        case .postgres: []
        }
    }

    /// Takes bytes as they came from the socket, in any pieces. After a step whose `next` is not `read` the plain part
    /// is over, and every further call answers `close(.malformed)`.
    package mutating func receive(_ bytes: RawSpan) -> Step {
        guard !ended else { return Step(reply: [], next: .close(.malformed)) }
        let (total, overflow) = received.addingReportingOverflow(bytes.byteCount)
        received = total
        guard !overflow, total <= Self.totalLimit else { return end(Step(reply: [], next: .close(.tooLong))) }
        bytes.withUnsafeBytes { pending.append(contentsOf: $0) }
        var step: Step
        switch machine {
        case .postgres(var postgres):
            step = postgres.receive(&pending)
            machine = .postgres(postgres)
        case .smtp, .imap: step = receiveLines()
        }
        if case .beginTLS = step.next, !pending.isEmpty {
            // The answer that invites to TLS must not leave either.
            step = Step(reply: [], next: .close(.pipelinedPlaintext))
        }
        return step.next == .read ? step : end(step)
    }

    private mutating func end(_ step: Step) -> Step {
        ended = true
        pending = []
        return step
    }

    private mutating func receiveLines() -> Step {
        var reply: [UInt8] = []
        var start = 0
        defer { pending.removeFirst(start) }
        while let end = pending[start...].firstIndex(of: UInt8(ascii: "\n")) {
            guard end + 1 - start <= Self.lineLimit else { return Step(reply: reply, next: .close(.tooLong)) }
            let line = pending[start..<end]
            start = end + 1
            // Only CR LF ends a line, and no CR or NUL stands within: two readers must not see two different lines.
            guard line.last == 0x0D, line.dropLast().allSatisfy({ $0 != 0x0D && $0 != 0 }) else {
                return Step(reply: reply, next: .close(.malformed))
            }
            let step = answer(line.dropLast())
            reply += step.reply
            guard step.next == .read else { return Step(reply: reply, next: step.next) }
        }
        // Room for the CR LF that has not come yet.
        guard pending.count - start < Self.lineLimit else { return Step(reply: reply, next: .close(.tooLong)) }
        return Step(reply: reply, next: .read)
    }

    private mutating func answer(_ line: ArraySlice<UInt8>) -> Step {
        switch machine {
        case .smtp(var smtp):
            let step = smtp.answer(line)
            machine = .smtp(smtp)
            return step
        case .imap(let imap): return imap.answer(line)
        case .postgres: return Step(reply: [], next: .close(.malformed))
        }
    }
}

extension PlainPreface.Kind {
    /// The registered ALPN protocol of PostgreSQL.
    package static let postgresProtocol = "postgresql"
}

extension PlainPreface.Step {
    static func reply(_ text: String, then next: PlainPreface.Next = .read) -> Self {
        Self(reply: Array((text + "\r\n").utf8), next: next)
    }
}

extension ArraySlice<UInt8> {
    /// The slice up to the first blank and what follows it; nil when there is no blank.
    func splitAtBlank() -> (head: ArraySlice<UInt8>, tail: ArraySlice<UInt8>?) {
        guard let blank = firstIndex(of: UInt8(ascii: " ")) else { return (self, nil) }
        return (self[..<blank], self[(blank + 1)...])
    }

    /// The bytes in upper case if they are ASCII letters; nil otherwise.
    var keyword: String? {
        allSatisfy(\.isLetter) ? String(decoding: self, as: UTF8.self).uppercased() : nil
    }
}
