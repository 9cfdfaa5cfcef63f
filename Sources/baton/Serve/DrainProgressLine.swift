import BatonConfiguration
import BatonServer
import Foundation

/// One line that is written over and over on a terminal; nothing where output is not a terminal.
struct DrainProgressLine {
    private let isShown: Bool

    init(isShown: Bool) { self.isShown = isShown && isatty(1) == 1 }

    mutating func show(_ progress: DrainProgress) {
        guard isShown else { return }
        let width = 30
        let done = progress.moved + progress.stayed
        let total = max(1, done + progress.remaining)
        let filled = done * width / total
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
        write(
            "\r\u{1B}[K\(bar) \(progress.remaining) left, \(progress.moved) moved, \(progress.stayed) stayed; "
                + "pause \(progress.pause.p50) µs median, \(progress.pause.max) µs max")
    }

    func clear() {
        if isShown { write("\r\u{1B}[K") }
    }

    private func write(_ text: String) { try? FileHandle.standardOutput.write(contentsOf: Data(text.utf8)) }
}
