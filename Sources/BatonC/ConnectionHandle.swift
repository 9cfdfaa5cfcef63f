internal import BatonCore
internal import CBaton
internal import Glibc
internal import Handoff
internal import Synchronization
internal import TLSRecords

/// A connection as C holds it: in use, at rest, or gone from here.
final class ConnectionHandle: Sendable {
    struct Held: ~Copyable {
        fileprivate(set) var live: Connection?
        fileprivate(set) var atRest: Snapshot?
        /// Plaintext that is to be read before what the connection holds.
        fileprivate(set) var unread: ArraySlice<UInt8>
    }

    private let held: Mutex<Held>

    init(_ connection: consuming Connection, unread: [UInt8] = []) {
        var held = Held(unread: unread[...])
        held.live = consume connection
        self.held = Mutex(held)
    }

    /// Uses it, unless another thread does.
    func use<Result>(_ body: (inout Held) throws(Failure) -> Result) throws(Failure) -> Result {
        var outcome: Swift.Result<Result, Failure>?
        held.withLockIfAvailable { held in
            do throws(Failure) {
                outcome = .success(try body(&held))
            } catch {
                outcome = .failure(error)
            }
        }
        guard let outcome else {
            throw Failure(BATON_ERROR_IN_USE, "another thread is in a call with this connection; let it end first")
        }
        return try outcome.get()
    }

    /// Uses the live connection.
    func useLive<Result>(
        _ body: (inout Connection, inout ArraySlice<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try use { (held) throws(Failure) in
            guard var connection = held.live.take() else {
                switch held.atRest {
                case .some: throw Failure(BATON_ERROR_AT_REST, "the connection is suspended; resume it first")
                case .none: throw .gone
                }
            }
            // It is put back in every case.
            do throws(Failure) {
                let result = try body(&connection, &held.unread)
                held.live = consume connection
                return result
            } catch {
                held.live = consume connection
                throw error
            }
        }
    }
}

extension ConnectionHandle.Held {
    /// Suspends the connection. One that is at rest stays so.
    mutating func suspend() throws(Failure) {
        guard let connection = live.take() else {
            switch atRest {
            case .some: return
            case .none: throw .gone
            }
        }
        atRest = connection.suspend()
    }

    mutating func resume() throws(Failure) {
        guard let snapshot = atRest.take() else {
            switch live {
            case .some: throw .notAtRest
            case .none: throw .gone
            }
        }
        live = Connection(resuming: snapshot)
    }

    /// Takes the connection out, as a parcel.
    mutating func take() throws(Failure) -> Parcel {
        guard let snapshot = atRest.take() else {
            switch live {
            case .some: throw .notAtRest
            case .none: throw .gone
            }
        }
        var parcel = Parcel(snapshot: snapshot)
        parcel.unread = Array(unread)
        unread = []
        return parcel
    }

    /// Puts a connection back that `take` has given.
    mutating func putBack(_ parcel: consuming Parcel) {
        unread = parcel.unread[...]
        atRest = parcel.snapshot.take()
    }
}

extension Failure {
    static var gone: Failure { Failure(BATON_ERROR_GONE, "the connection has been sealed or handed over") }

    static var notAtRest: Failure { Failure(BATON_ERROR_NOT_AT_REST, "the connection is in use; suspend it first") }
}
