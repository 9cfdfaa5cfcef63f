internal import Dispatch
internal import Glibc

/// Signals as calls on an ordinary thread.
final class Signals: @unchecked Sendable {
    // Resumed once and then only kept.
    private let sources: [any DispatchSourceSignal]

    /// From here on `signals` do not end the process; `received` is called for each.
    init(_ signals: [CInt], _ received: @escaping @Sendable (CInt) -> Void) {
        sources = signals.map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { received(number) }
            source.resume()
            return source
        }
    }
}
