/// How a process ended.
enum ProcessEnding: Sendable, Hashable {
    case exited(CInt)
    case killed(signal: CInt)
    case unknown

    init(status: CInt) {
        let signal = status & 0x7F
        self = signal == 0 ? .exited(status >> 8 & 0xFF) : .killed(signal: signal)
    }
}

extension ProcessEnding: CustomStringConvertible {
    var description: String {
        switch self {
        case .exited(let code): "exit status \(code)"
        case .killed(let signal): "signal \(signal)"
        case .unknown: "unknown ending"
        }
    }
}
