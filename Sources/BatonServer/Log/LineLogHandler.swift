internal import Foundation
internal import Logging

/// Puts what is logged into one line: the time, the level, the label, what is known in order of its names, and the message.
struct LineLogHandler: LogHandler {
    let label: String
    let queue: LogQueue
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    init(label: String, queue: LogQueue) {
        self.label = label
        self.queue = queue
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { _, new in new } }
        if let own = event.metadata { all.merge(own) { _, new in new } }
        let known = all.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value) " }.joined()
        queue.append(
            Self.printable("\(Self.time(Date())) \(event.level) \(label): \(known)[\(event.source)] \(event.message)"))
    }

    /// A peer's words must not make lines of their own, nor command a terminal.
    static func printable(_ line: String) -> String {
        guard line.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else { return line }
        return String(
            line.unicodeScalars.map { scalar in
                scalar == "\n" ? "; " : scalar.value < 0x20 || scalar.value == 0x7F ? "?" : String(scalar)
            }.joined())
    }

    /// ISO 8601, in local time.
    static func time(_ date: Date) -> String {
        var seconds = time_t(date.timeIntervalSince1970)
        var parts = tm()
        localtime_r(&seconds, &parts)
        var text = [CChar](repeating: 0, count: 32)
        let count = strftime(&text, text.count, "%Y-%m-%dT%H:%M:%S%z", &parts)
        return String(decoding: text.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
