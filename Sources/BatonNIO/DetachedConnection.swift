public import Handoff
internal import Synchronization

/// A parcel on its way between threads. It is taken once; one that nobody takes is closed.
public final class DetachedConnection: Sendable {
    private let parcel: Mutex<Parcel?>

    /// Wraps a parcel.
    public init(_ parcel: consuming Parcel) {
        self.parcel = Mutex(consume parcel)
    }

    /// The parcel; `nil` when it has been taken.
    public func take() -> Parcel? {
        parcel.withLock { $0.take() }
    }
}
