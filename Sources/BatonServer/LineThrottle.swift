/// Holds back log lines that strangers can bring about as often as they like: of each kind so many in an interval, and
/// then how many there were besides. It reads no clock: it is told the time.
struct LineThrottle<Kind: Hashable> {
    private let most: Int
    private let interval: UInt64
    private var windows: [Kind: Window] = [:]

    private struct Window {
        var begins: UInt64
        var written = 0
        var heldBack = 0
    }

    /// - Parameters:
    ///   - most: lines of one kind in an interval.
    ///   - interval: in nanoseconds.
    init(most: Int = 10, interval: UInt64 = 10_000_000_000) {
        self.most = most
        self.interval = interval
    }

    /// Asks for one line.
    ///
    /// - Returns: how many of its kind have been held back since the last; `nil` if this one is, too.
    mutating func admit(_ kind: Kind, now: UInt64) -> Int? {
        var window = windows[kind] ?? Window(begins: now)
        defer { windows[kind] = window }
        if now >= window.begins, now - window.begins >= interval {
            window.begins = now
            window.written = 0
        }
        guard window.written < most else {
            window.heldBack += 1
            return nil
        }
        window.written += 1
        defer { window.heldBack = 0 }
        return window.heldBack
    }
}
