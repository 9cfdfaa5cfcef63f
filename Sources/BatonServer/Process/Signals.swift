internal import CLinuxSockets
internal import Libc
internal import Synchronization

/// The signals of a process of the server as calls on a thread of their own. They are caught from the first moment of the
/// process on (`baton_signals_catch`), so that none of them ends it.
final class Signals: Sendable {
    private enum State {
        /// Nobody hears them yet: what came so far, in order.
        case early([CInt])
        case heard(@Sendable (CInt) -> Void)
    }

    private let state = Mutex(State.early([]))

    /// Listens. Until somebody hears them, a signal to stop ends the process: nothing is there yet to be ended in order.
    init() {
        startThread("baton-signals") { [self] in
            while true {
                let number = baton_signals_next()
                guard number > 0 else { return }
                received(number)
            }
        }
    }

    /// Calls `receiver` for each signal, those that came before included.
    func hear(_ receiver: @escaping @Sendable (CInt) -> Void) {
        state.withLock { state in
            if case .early(let numbers) = state { for number in numbers { receiver(number) } }
            state = .heard(receiver)
        }
    }

    /// A signal has come to this process, or to the service.
    func received(_ number: CInt) {
        state.withLock { state in
            switch state {
            case .heard(let receiver): receiver(number)
            case .early(let numbers):
                if Self.stops(number) { ProcessExit.leave(128 + number) }
                if !numbers.contains(number) { state = .early(numbers + [number]) }
            }
        }
    }

    /// Whether a signal asks for the end.
    static func stops(_ number: CInt) -> Bool { number == SIGTERM || number == SIGINT || number == SIGQUIT }
}
