internal import BatonConfiguration
internal import BatonCore
internal import BatonNIO
internal import Handoff
internal import Logging
internal import NIOCore
internal import TLSRecords

/// A client's connection in a worker, with whatever serves it. Used on the worker's event loop only.
class Session {
    private static nonisolated(unsafe) var lastID: UInt64 = 0

    let id: UInt64
    let worker: Worker
    /// Nil: its first request is to decide.
    let target: Target?
    private(set) var client: (any Channel)?
    private(set) var hasEnded = false
    /// Whether what comes after it is in this worker, too.
    final var staysInWorker = false
    /// What the limits count it under.
    let source: IPAddress?
    /// When the last byte passed, on CLOCK_MONOTONIC.
    private(set) var lastActivity: UInt64
    private var pendingAtLook = 0
    private var isClosing = false
    /// What was known of it when it came.
    let arrived: ParcelMetadata
    /// Of its TLS, until it is in a channel.
    final var info: ConnectionInfo?
    private var ending: (AccessRecord.End, detail: String?)?
    private var isTold = false
    /// Whether the front has been told of it.
    final var isKeptByFront = false

    init(_ worker: Worker, target: Target?, _ metadata: ParcelMetadata) {
        arrived = metadata
        source = metadata.source.map { ConnectionLimits.group(of: $0.address) }
        let (now, idle) = (MonotonicTime.now, metadata.idleFor)
        lastActivity = now - min(now, idle)
        id = Self.nextNumber()
        self.worker = worker
        self.target = target
    }

    /// No two connections of a server have the same number, if each worker begins with its own.
    static func number(from worker: Int) { lastID = UInt64(worker) << 32 }

    static func nextNumber() -> UInt64 {
        lastID &+= 1
        return lastID
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

    /// What names the connection in a log.
    final var logMetadata: Logger.Metadata { (try? clientHandler())?.metadata.names ?? [:] }

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

    /// Bytes have passed.
    final func touch() { lastActivity = MonotonicTime.now }

    /// Bytes that wait for a peer to read them, in every direction.
    func pendingByteCount() -> Int { (try? clientHandler().pendingByteCount) ?? 0 }

    /// Nanoseconds without a byte in either direction; those that a slow peer takes from what waits count, too.
    final func idleTime(at now: UInt64) -> UInt64 {
        let pending = pendingByteCount()
        if pending != pendingAtLook { lastActivity = now }
        pendingAtLook = pending
        return now - min(now, lastActivity)
    }

    /// Ends it by a decision of this server's, with which nothing may look whole that is not.
    func close() {
        client?.close(promise: nil)
    }

    /// The process ends, and with it what waits. The kernel ends a plain connection in order then, unless it is reset
    /// before.
    func abandon() {
        guard let handler = try? clientHandler(), handler.pendingByteCount > 0 else { return }
        handler.reset(discarding: true)
    }

    /// Notes why it ends, if nothing else has been noted.
    final func blame(_ end: AccessRecord.End, _ detail: String? = nil) {
        if ending == nil { ending = (end, detail) }
    }

    /// What the access log says of it, once.
    final func takeRecord() -> AccessRecord? {
        guard !isTold else { return nil }
        isTold = true
        return record(ending?.0 ?? .clientClosed, ending?.detail)
    }

    final func record(_ end: AccessRecord.End, _ detail: String? = nil) -> AccessRecord {
        let handler = try? clientHandler()
        return AccessRecord(
            RelayNote(handler?.metadata ?? arrived, handler?.info ?? info, tellsSubject: true), end, detail: detail)
    }

    /// Closes it, unless that was done before.
    final func closeOnce(_ reason: AccessRecord.End = .server) -> Bool {
        guard !isClosing else { return false }
        isClosing = true
        blame(reason)
        close()
        return true
    }
}

/// Why a session cannot be moved just now.
enum ConnectionMoveError: Error {
    case notAttached
    case changing
}

extension ParcelMetadata {
    /// What names the connection in a log.
    var names: Logger.Metadata {
        var names: Logger.Metadata = [:]
        names["connection"] = logID.map { "\($0)" }
        names["listener"] = listener.map { "\($0)" }
        names["peer"] = source.map { "\($0)" }
        return names
    }
}
