import Foundation

/// What an owner process tells the demo: one line on its standard output.
enum DemoLine: Equatable {
    /// It listens.
    case ready
    /// It owns the connection now: number of the move (0 for the front's), pause in nanoseconds, bytes so far.
    case owns(move: UInt64, pause: UInt64, bytesUp: UInt64, bytesDown: UInt64)
    /// The stream has ended in order.
    case finished(bytesUp: UInt64, bytesDown: UInt64)
    case failed(String)

    init?(_ line: Substring) {
        let words = line.split(separator: " ")
        let numbers = words.dropFirst().compactMap { UInt64($0) }
        switch (words.first, numbers.count) {
        case ("ready", 0): self = .ready
        case ("owns", 4):
            self = .owns(move: numbers[0], pause: numbers[1], bytesUp: numbers[2], bytesDown: numbers[3])
        case ("finished", 2): self = .finished(bytesUp: numbers[0], bytesDown: numbers[1])
        case ("failed", _): self = .failed(line.dropFirst("failed ".count).description)
        default: return nil
        }
    }

    func print() {
        let text =
            switch self {
            case .ready: "ready"
            case .owns(let move, let pause, let up, let down): "owns \(move) \(pause) \(up) \(down)"
            case .finished(let up, let down): "finished \(up) \(down)"
            case .failed(let why): "failed \(why.replacingOccurrences(of: "\n", with: " "))"
            }
        try? FileHandle.standardOutput.write(contentsOf: Data((text + "\n").utf8))
    }
}
