internal import Synchronization

/// A flag that threads share.
final class LockedFlag: Sendable {
    private let flag = Mutex(false)

    func withLock<R>(_ body: (inout sending Bool) -> R) -> R { flag.withLock { body(&$0) } }

    var isSet: Bool { flag.withLock { $0 } }
}
