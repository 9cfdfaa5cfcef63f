internal import BatonNIO
internal import Handoff
internal import NIOCore

/// A client's connection in a worker, with whatever serves it. Used on the worker's event loop only.
class Session {
    private static nonisolated(unsafe) var lastID: UInt64 = 0

    let id: UInt64
    let worker: Worker
    let target: Target
    private(set) var client: (any Channel)?
    private(set) var hasEnded = false
    private var movesAt: UInt64?
    private var plainReads: UInt64 = 0

    init(_ worker: Worker, target: Target) {
        Self.lastID &+= 1
        id = Self.lastID
        self.worker = worker
        self.target = target
    }

    // MARK: What each kind of session does

    /// Adds handlers to the client's channel, before any byte comes.
    func install(in channel: any Channel, _ state: SessionState) throws {
        client = channel
        try channel.syncOptions?.setOption(.autoRead, value: false)
    }

    /// The client's channel is there.
    func begin() {
        client?.read()
    }

    /// What of the session is not in the client's connection.
    func state() throws -> SessionState { SessionState() }

    /// The client's connection and what belongs to it, out of its channel.
    func detach() throws -> Parcel {
        try clientHandler().detach(applicationState: try state().encoded)
    }

    /// Whether it may move to another host now.
    var mayLeaveHost: Bool { true }

    /// Whether it can be closed without breaking something off.
    var isIdle: Bool { false }

    /// The client's connection is gone from here: closed or moved.
    func clientEnded(isMoved: Bool) {}

    // MARK: For all

    final func clientHandler() throws -> ConnectionHandler {
        guard let client else { throw ConnectionMoveError.notAttached }
        return try client.pipeline.syncOperations.connectionHandler()
    }

    /// The client's channel has closed.
    final func end(isMoved: Bool) {
        guard !hasEnded else { return }
        hasEnded = true
        clientEnded(isMoved: isMoved)
        worker.forget(self, isMoved: isMoved)
    }

    /// A read from the client has been acted on: the moment for `--move-every`.
    final func didRead() {
        let every = worker.moveEvery
        guard every > 0, !hasEnded, let handler = try? clientHandler() else { return }
        plainReads &+= 1
        let count = handler.info == nil ? plainReads : handler.recordsReceived
        guard count >= every, movesAt == nil else { return }
        movesAt = count
        let session = NIOLoopBound(self, eventLoop: worker.loop)
        worker.loop.execute {
            let session = session.value
            session.movesAt = nil
            if !session.hasEnded { session.worker.moveOn(session) }
        }
    }

    final func close() {
        client?.close(promise: nil)
    }
}

/// Why a session cannot be moved just now.
enum ConnectionMoveError: Error {
    case notAttached
    case changing
}
