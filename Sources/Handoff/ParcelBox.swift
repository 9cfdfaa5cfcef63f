internal import Synchronization
internal import TLSRecords

/// A parcel on its way between threads. It is taken once; one that nobody takes is closed.
public final class ParcelBox: Sendable {
    private let parcel: Mutex<Parcel?>

    /// Wraps a parcel.
    public init(_ parcel: consuming Parcel) {
        self.parcel = Mutex(consume parcel)
    }

    /// How many bytes of the connection, unsent, unread or the application's state, are in the parcel; 0 when it has been
    /// taken.
    public var pendingByteCount: Int {
        parcel.withLock { parcel in
            switch parcel {
            case .some(let parcel):
                var count = parcel.applicationState.count + parcel.received.count + parcel.unsent.count
                count += parcel.unread.count
                switch parcel.snapshot {
                case .some(let snapshot): count += snapshot.outgoingCount
                case .none: break
                }
                switch parcel.secondSnapshot {
                case .some(let snapshot): count += snapshot.outgoingCount
                case .none: break
                }
                return count
            case .none: return 0
            }
        }
    }

    /// The parcel; `nil` when it has been taken.
    public func take() -> Parcel? {
        parcel.withLock { $0.take() }
    }
}
