internal import BatonConfiguration
internal import BatonCore
internal import CLinuxSockets
internal import Foundation
internal import Libc
internal import Logging

/// Says in the server's log, once each, that lines of the access log are lost, and how many were.
struct AccessLogComplaints {
    private let name: String
    private let log: Logger
    private var isFailing = false

    init(_ name: String, _ log: Logger) {
        self.name = name
        self.log = log
    }

    /// Lines were not taken, for the reason in errno.
    mutating func failed() {
        guard !isFailing else { return }
        isFailing = true
        log.error(
            "lines of the access log are lost",
            metadata: ["access-log": "\(name)", "reason": "\(String(cString: strerror(errno)))"])
    }

    mutating func succeeded() { isFailing = false }

    func wereMissing(_ count: Int) {
        log.warning("lines of the access log were lost", metadata: ["access-log": "\(name)", "count": "\(count)"])
    }
}

/// A file that each process of the server appends to. Whole lines go with one write(2), so that those of several processes do
/// not mix. A file that has been renamed or removed is left for a new one, within a second: so it can be rotated without a
/// signal.
final class AccessFileSink: LogSink, @unchecked Sendable {
    private static let lookInterval = Duration.seconds(1)

    private let path: String
    private var complaints: AccessLogComplaints
    private var descriptor: CInt = -1
    private var nextLook = Deadline.after(.zero)
    /// The last write ended within a line.
    private var isCut = false

    init(_ path: String, _ log: Logger) {
        self.path = path
        complaints = AccessLogComplaints(path, log)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    var batchSize: Int { 65_536 }

    func note(missing count: Int) -> String? {
        complaints.wereMissing(count)
        return nil
    }

    func write(_ bytes: [UInt8]) -> Bool {
        if descriptor < 0 || nextLook.hasPassed { look() }
        guard descriptor >= 0 else {
            complaints.failed()
            return false
        }
        let all = isCut ? [UInt8(ascii: "\n")] + bytes : bytes
        let count = DescriptorSink.write(all, to: descriptor)
        if count > 0 { isCut = count < all.count }
        if count == all.count { complaints.succeeded() } else { complaints.failed() }
        return count == all.count
    }

    /// Opens the file that is at the path, if it is another one. What cannot be opened leaves the one before.
    private func look() {
        nextLook = .after(Self.lookInterval)
        var (here, there) = (baton_file_status(), baton_file_status())
        if descriptor >= 0, baton_file_of(descriptor, &here) == 0, baton_file_at(path, 1, &there) == 0,
            here.device == there.device, here.file == there.file
        {
            return
        }
        let opened = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0o640)
        guard opened >= 0 else { return }
        if descriptor >= 0 { close(descriptor) }
        descriptor = opened
        isCut = false
    }
}

/// The socket of the system's log: a datagram for each line, as RFC 3164 and all that listen at `/dev/log` have it.
final class SyslogSink: LogSink, @unchecked Sendable {
    /// LOG_DAEMON, LOG_INFO.
    private static let priority = 3 << 3 | 6

    private let path: String
    private var complaints: AccessLogComplaints
    private var descriptor: CInt = -1

    init(_ path: String, _ log: Logger) {
        self.path = path
        complaints = AccessLogComplaints("syslog:\(path)", log)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// A line at a time.
    var batchSize: Int { 1 }

    func note(missing count: Int) -> String? {
        complaints.wereMissing(count)
        return nil
    }

    func write(_ bytes: [UInt8]) -> Bool {
        let message = Array("<\(Self.priority)>\(Self.time(Date())) baton[\(getpid())]: ".utf8) + bytes.dropLast()
        // Once more, because a log that has been started anew has another socket at the path.
        let isSent = send(message) || send(message)
        if isSent { complaints.succeeded() } else { complaints.failed() }
        return isSent
    }

    private func send(_ message: [UInt8]) -> Bool {
        if descriptor < 0 { connect() }
        guard descriptor >= 0 else { return false }
        while true {
            if Libc.send(descriptor, message, message.count, Int32(MSG_NOSIGNAL)) >= 0 { return true }
            let reason = errno
            if reason == EINTR { continue }
            close(descriptor)
            descriptor = -1
            errno = reason
            return false
        }
    }

    private func connect() {
        guard let address = UnixSocket.address(path) else {
            errno = ENAMETOOLONG
            return
        }
        let made = socket(AF_UNIX, SocketKind.datagram | SocketKind.closeOnExec, 0)
        guard made >= 0 else { return }
        let result = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Libc.connect(made, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        if result == 0 {
            descriptor = made
        } else {
            let reason = errno
            close(made)
            errno = reason
        }
    }

    /// `Mmm dd hh:mm:ss` in local time, in English (RFC 3164 section 4.1.2).
    private static func time(_ date: Date) -> String {
        var seconds = time_t(date.timeIntervalSince1970)
        var parts = tm()
        localtime_r(&seconds, &parts)
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ number: CInt, _ filler: String = "0") -> String { number < 10 ? "\(filler)\(number)" : "\(number)" }
        let month = months[Int(min(max(parts.tm_mon, 0), 11))]
        return "\(month) \(two(parts.tm_mday, " ")) \(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
    }
}
