import BatonCore
import Foundation

/// One line that is written over and over on a terminal; nothing where output is not a terminal.
struct DemoProgressLine {
    private let isShown: Bool
    private let moves: Int
    private var lastShownAt: UInt64 = 0

    init(isShown: Bool, moves: Int) {
        self.isShown = isShown && isatty(1) == 1
        self.moves = moves
    }

    mutating func show(owner: Int32, move: UInt64, bytesUp: UInt64, bytesDown: UInt64) {
        let now = MonotonicTime.now
        guard isShown, now - lastShownAt > 50_000_000 || move == UInt64(moves) else { return }
        lastShownAt = now
        let width = 30
        let filled = moves > 0 ? Int(move) * width / moves : width
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
        write(
            "\r\u{1B}[Kpid \(owner) owns the connection  \(bar) move \(move)/\(moves)  ↑\(bytesUp >> 20) ↓\(bytesDown >> 20) MiB"
        )
    }

    func clear() {
        if isShown { write("\r\u{1B}[K") }
    }

    private func write(_ text: String) { try? FileHandle.standardOutput.write(contentsOf: Data(text.utf8)) }
}
