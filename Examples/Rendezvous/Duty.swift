import BatonNIO
import NIOCore
import Synchronization

/// Whether this process is being replaced: its listener is on its way to a successor, or there already.
///
/// A succession takes along what is here. What another front hands over in that moment may come too late for it, so it is declined,
/// and what was accepted a moment before is handed on to the successor as to another front.
final class Duty: Sendable {
    private let succession = Mutex<Succession?>(nil)

    /// From here on this process serves.
    func begin(_ succession: Succession) { self.succession.withLock { $0 = succession } }

    var isEnding: Bool {
        guard let succession = succession.withLock({ $0 }) else { return false }
        return !succession.listeners.contains { $0.channel.isActive }
    }
}
