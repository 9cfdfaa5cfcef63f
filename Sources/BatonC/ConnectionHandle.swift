internal import BatonCore
internal import CBaton
internal import Handoff
internal import Libc
internal import Synchronization
internal import TLSRecords

/// A connection as C holds it: in use, at rest, or gone from here.
final class ConnectionHandle: Sendable {
    struct Held: ~Copyable {
        fileprivate(set) var live: Connection?
        fileprivate(set) var atRest: Snapshot?
        /// Plaintext that is to be read before what the connection holds.
        fileprivate(set) var unread: ByteQueue
        /// What its former owners have told, and how many there were.
        fileprivate(set) var metadata: ParcelMetadata
        /// It is in an offer whose end is not known.
        fileprivate(set) var isOffered = false
    }

    private let held: Mutex<Held>

    init(
        _ connection: consuming Connection, unread: consuming ByteQueue = ByteQueue(),
        metadata: ParcelMetadata = ParcelMetadata()
    ) {
        var held = Held(unread: unread, metadata: metadata)
        held.live = consume connection
        self.held = Mutex(held)
    }

    /// A connection that another owner has let go of.
    ///
    /// - Throws: there is no TLS connection in the parcel.
    convenience init(takingOver parcel: inout Parcel) throws(Failure) {
        guard let snapshot = parcel.snapshot.take() else {
            throw Failure(BATON_ERROR_FORMAT, "what has arrived is no TLS connection")
        }
        parcel.metadata.moves &+= 1
        self.init(
            Connection(resuming: snapshot), unread: ByteQueue(parcel.unread),
            metadata: parcel.metadata)
    }

    /// Uses it, unless another thread does.
    func use<Result>(_ body: (inout Held) throws(Failure) -> Result) throws(Failure) -> Result {
        try held.useAlone("connection") { (held) throws(Failure) in
            guard !held.isOffered else { throw .inUse("connection") }
            return try body(&held)
        }
    }

    /// Uses the live connection.
    func useLive<Result>(
        _ body: (inout Connection, inout ByteQueue) throws(Failure) -> Result
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

extension ConnectionHandle {
    /// Takes the connection out for an offer. Calls with this object are refused until `endOffer`.
    func beginOffer() throws(Failure) -> ParcelBox {
        try use { (held) throws(Failure) in
            let box = ParcelBox(try held.take())
            held.isOffered = true
            return box
        }
    }

    /// The offer is over: the connection comes back in `returned`, or is gone.
    func endOffer(_ returned: ParcelBox? = nil) {
        held.withLock { held in
            held.isOffered = false
            if let parcel = returned?.take() { held.putBack(parcel) }
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
    ///
    /// - Throws: nothing has changed then.
    mutating func take() throws(Failure) -> Parcel {
        try checkSize()
        guard let snapshot = atRest.take() else {
            switch live {
            case .some: throw .notAtRest
            case .none: throw .gone
            }
        }
        var parcel = Parcel(snapshot: snapshot)
        parcel.metadata = metadata
        parcel.unread = unread.withBytes { Array($0) }
        unread = ByteQueue()
        return parcel
    }

    /// Every reader refuses a connection with more on its way, and it would be lost.
    private borrowing func checkSize() throws(Failure) {
        let count =
            switch atRest {
            case .some(let snapshot): snapshot.waitingCount
            case .none: 0
            }
        // What else a snapshot holds is chains and names of the peer in the first place, which are shorter than this.
        guard count <= Snapshot.longest - 262_144 else {
            throw Failure(BATON_ERROR_TOO_LARGE, "\(count) bytes of ciphertext wait; read or write some first")
        }
        guard unread.count <= Parcel.maxUnread else {
            throw Failure(
                BATON_ERROR_TOO_LARGE, "\(unread.count) bytes that OpenSSL has decrypted wait; read some first")
        }
    }

    /// Puts a connection back that `take` has given.
    mutating func putBack(_ parcel: consuming Parcel) {
        unread = ByteQueue(parcel.unread)
        metadata = parcel.metadata
        atRest = parcel.snapshot.take()
    }
}

extension Failure {
    static var gone: Failure { Failure(BATON_ERROR_GONE, "the connection has been sealed or handed over") }

    static var notAtRest: Failure { Failure(BATON_ERROR_NOT_AT_REST, "the connection is in use; suspend it first") }
}

extension ByteQueue {
    fileprivate init(_ bytes: [UInt8]) {
        self.init()
        bytes.withUnsafeBytes { append($0) }
    }
}
