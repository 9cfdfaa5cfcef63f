internal import Libc
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import TLSHandshake

/// Fetches OCSP responses ahead of time for the certificates that ask for it, and keeps them in files, so that a restart staples at
/// once. Used on `loop` only.
final class StapleFetcher: @unchecked Sendable {
    /// The most that are asked for at once.
    private static let concurrency = 8
    /// The wall clock may be set: no timer is longer, in seconds.
    private static let longestWait: Int64 = 600

    private struct Entry {
        var inquiry: OCSPInquiry
        var schedule: StapleSchedule
        /// What was last told to be wrong.
        var told: String?
    }

    private let loop: any EventLoop
    private let logger: SharedLogger
    /// By the file that keeps the answer.
    private var entries: [String: Entry] = [:]
    private var underWay = 0
    private var timer: Scheduled<Void>?

    init(on loop: any EventLoop, _ logger: SharedLogger) {
        self.loop = loop
        self.logger = logger
    }

    /// Fetches for the certificates of this policy from now on.
    func follow(_ policy: FrontPolicy) {
        var next: [String: Entry] = [:]
        for certificate in policy.certificates where certificate.fetchesOCSP {
            guard let inquiry = certificate.store.inquiry(certificate.identity) else { continue }
            // What could not be kept in a file is gone with a reload.
            if var known = entries[inquiry.path], known.schedule.isUnderWay || inquiry.term(at: Self.now) != nil {
                known.inquiry = inquiry
                next[inquiry.path] = known
            } else {
                next[inquiry.path] = Entry(
                    inquiry: inquiry, schedule: StapleSchedule(term: inquiry.term(at: Self.now), jitter: Self.jitter))
            }
        }
        entries = next
        look()
    }

    /// Fetches no more.
    func stop() {
        entries = [:]
        timer?.cancel()
    }

    private static var now: Int64 { Int64(time(nil)) }
    private static var jitter: Double { .random(in: 0...1) }

    private func look() {
        timer?.cancel()
        let now = Self.now
        for (path, entry) in entries where entry.schedule.isDue(at: now) {
            guard underWay < Self.concurrency else { return }
            ask(path, entry.inquiry)
        }
        guard let next = entries.values.filter({ !$0.schedule.isUnderWay }).map(\.schedule.nextAt).min() else { return }
        let wait = min(max(1, next - now), Self.longestWait)
        timer = loop.scheduleTask(in: .seconds(wait)) { [self] in look() }
    }

    private func ask(_ path: String, _ inquiry: OCSPInquiry) {
        underWay += 1
        entries[path]?.schedule.asked()
        OCSPExchange.run(inquiry.request, at: inquiry.responder, on: loop).flatMap { [loop] answer in
            // Signatures are checked and files are written off the loop.
            NIOThreadPool.singleton.runIfActive(eventLoop: loop) { () -> (OCSPInquiry.Verdict, String?) in
                let verdict = inquiry.judge(answer, at: Self.now)
                switch verdict {
                case .good: return (verdict, Self.keep(answer, at: inquiry.path))
                case .revoked:
                    unlink(inquiry.path)
                    return (verdict, nil)
                case .useless: return (verdict, nil)
                }
            }
        }.hop(to: loop).whenComplete { [self] result in
            underWay -= 1
            hear(result, path)
            look()
        }
    }

    private func hear(_ result: Result<(OCSPInquiry.Verdict, String?), any Error>, _ path: String) {
        guard var entry = entries[path] else { return }
        defer { entries[path] = entry }
        let now = Self.now
        switch result {
        case .success((.good(let term), let obstacle)):
            entry.schedule.answered(term, at: now, jitter: Self.jitter)
            let until = CertificateTerm.text(term.upperBound)
            log.info(
                "an OCSP response was fetched",
                metadata: ["certificate": "\(entry.inquiry.certificate)", "until": "\(until)"])
            tell(obstacle.map { "the response is stapled, but cannot be kept for a restart: \($0)" }, &entry)
        case .success((.revoked, _)):
            entry.schedule.failed(at: now, jitter: Self.jitter)
            tell("the responder says that the certificate is revoked; replace it", &entry)
        case .success((.useless(let why), _)):
            entry.schedule.failed(at: now, jitter: Self.jitter)
            tell("the answer is of no use: \(why)", &entry)
        case .failure(let error):
            entry.schedule.failed(at: now, jitter: Self.jitter)
            tell("\(error)", &entry)
        }
    }

    /// Once as long as it is the same.
    private func tell(_ reason: String?, _ entry: inout Entry) {
        defer { entry.told = reason }
        guard let reason, reason != entry.told else { return }
        let kept =
            if let term = entry.inquiry.term(at: Self.now) {
                "the one there is is stapled until \(CertificateTerm.text(term.upperBound))"
            } else if entry.inquiry.isDemanded {
                "none is stapled, and clients refuse this certificate without one (must-staple)"
            } else { "none is stapled" }
        log.warning(
            "an OCSP response needs care",
            metadata: [
                "certificate": "\(entry.inquiry.certificate)", "responder": "\(entry.inquiry.responder)",
                "reason": "\(reason)", "meanwhile": "\(kept)",
            ])
    }

    private var log: Logger { logger.current }

    // MARK: Keeping

    /// Puts the answer in place at once.
    ///
    /// - Returns: why it cannot be kept; nil if it is.
    private static func keep(_ answer: [UInt8], at path: String) -> String? {
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        if mkdir(folder, 0o755) != 0, errno != EEXIST { return "\(folder): \(String(cString: strerror(errno)))" }
        let draft = "\(path).\(getpid())"
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else { return "\(draft): \(String(cString: strerror(errno)))" }
        let count = answer.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        let isWritten = count == answer.count
        let error = errno
        close(descriptor)
        guard isWritten, rename(draft, path) == 0 else {
            let reason = String(cString: strerror(isWritten ? errno : count < 0 ? error : ENOSPC))
            unlink(draft)
            return "\(path): \(reason)"
        }
        return nil
    }
}
