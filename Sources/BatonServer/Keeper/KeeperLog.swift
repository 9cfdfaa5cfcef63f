internal import Foundation
internal import Libc

/// The few lines that the keeper has to say, in the form of the server's log. It never waits for whoever reads them: a line for
/// which there is no room is lost, and counted.
struct KeeperLog {
    private var lost = 0

    mutating func notice(_ message: String, _ metadata: KeyValuePairs<String, String> = [:]) {
        write("notice", message, metadata)
    }

    mutating func warning(_ message: String) { write("warning", message, [:]) }

    mutating func error(_ message: String, _ metadata: KeyValuePairs<String, String> = [:]) {
        write("error", message, metadata)
    }

    private mutating func write(_ level: String, _ message: String, _ metadata: KeyValuePairs<String, String>) {
        var polled = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
        guard poll(&polled, 1, 0) == 1, polled.revents & Int16(POLLOUT) != 0 else {
            lost += 1
            return
        }
        var known = metadata.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value) " }.joined()
        if lost > 0 { known += "lost_lines=\(lost) " }
        lost = 0
        let line = LineLogHandler.printable(
            "\(LineLogHandler.time(Date())) \(level) baton.keeper: \(known)[BatonServer] \(message)")
        let bytes = Array((line + "\n").utf8)
        _ = Libc.write(STDERR_FILENO, bytes, bytes.count)
    }
}
