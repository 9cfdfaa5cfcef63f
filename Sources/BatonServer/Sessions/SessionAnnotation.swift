internal import BatonConfiguration
internal import BatonCore
internal import BatonNIO
internal import Handoff
internal import SessionEngine

/// What the processes of a server tell each other of a connection beside its state.
enum SessionAnnotation {
    /// The route's target, as the configuration writes it.
    static let target = "baton.target"
    /// The client's endpoint, and the one it connected to.
    static let source = "baton.source"
    static let destination = "baton.destination"
    /// The first request line is to decide where the connection goes.
    static let undecided = "baton.undecided"
    /// What decides in which order the upstream's addresses are tried.
    static let affinity = "baton.affinity"
    /// Which of the upstream's addresses the connection goes to.
    static let upstreamPlace = "baton.upstream-place"
    /// The protocol that was spoken before TLS.
    static let startTLS = "baton.starttls"
    /// The connection is PostgreSQL's CancelRequest, and nothing else.
    static let cancelRequest = "baton.cancel-request"
    /// What a load balancer in front calls the connection: PP2_TYPE_UNIQUE_ID.
    static let uniqueID = "baton.unique-id"
    /// The routes with rules for clients that let this one in, as eight bytes each.
    static let admittedRoutes = "baton.admitted-routes"
    /// What the upstream is to be told of certificates: `CertificateExtensions`.
    static let certificates = "baton.certificates"
    /// CLOCK_MONOTONIC in nanoseconds when the connection was taken out of its last owner's hands.
    static let detachedAt = "baton.detached-at"
    /// Milliseconds since the connection last passed a byte; clocks differ between machines.
    static let idleFor = "baton.idle-for"
    /// The front's number for what it gives to a worker.
    static let placement = "baton.placement"
    /// The hand-over to its first worker here, by how often the connection had moved by then.
    static let firstWorker = "baton.first-worker"
    /// The sweep of a drain that has last asked for the connection.
    static let sweep = "baton.sweep"
    /// The route that has led to the target.
    static let route = "baton.route"
    /// The upstream's address, as the kernel knows it, and the milliseconds until it was ready.
    static let upstream = "baton.upstream"
    static let connectTime = "baton.connect-time"
    /// Bytes on the wire that former owners have counted.
    static let traffic = "baton.traffic"
    static let standstill = "baton.standstill"
}

extension ParcelMetadata {
    /// Where the connection goes.
    var target: Target? {
        get { text(SessionAnnotation.target).flatMap(Target.init) }
        set { annotations[SessionAnnotation.target] = newValue.map { Array("\($0)".utf8) } }
    }

    /// The client's endpoint.
    var source: Endpoint? {
        get { text(SessionAnnotation.source).flatMap(Endpoint.init) }
        set { annotations[SessionAnnotation.source] = newValue.map { Array("\($0)".utf8) } }
    }

    /// The endpoint that the client connected to.
    var destination: Endpoint? {
        get { text(SessionAnnotation.destination).flatMap(Endpoint.init) }
        set { annotations[SessionAnnotation.destination] = newValue.map { Array("\($0)".utf8) } }
    }

    /// Whether the first request line is to decide where it goes.
    var isUndecided: Bool {
        get { annotations[SessionAnnotation.undecided] != nil }
        set { annotations[SessionAnnotation.undecided] = newValue ? [1] : nil }
    }

    /// By which the upstream's addresses are ordered; nil: they are tried as they are written.
    var affinity: UInt64? {
        get {
            guard let bytes = annotations[SessionAnnotation.affinity], bytes.count == 8 else { return nil }
            return bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        }
        set {
            annotations[SessionAnnotation.affinity] = newValue.map { value in
                withUnsafeBytes(of: value.bigEndian) { Array($0) }
            }
        }
    }

    /// Which of the upstream's addresses it goes to; nil: none yet, or an older version knew.
    var upstreamPlace: String? {
        get { text(SessionAnnotation.upstreamPlace) }
        set { annotations[SessionAnnotation.upstreamPlace] = newValue.map { Array($0.utf8) } }
    }

    /// The protocol that was spoken before TLS; nil: none.
    var startTLS: PlainPreface.Kind? {
        get { text(SessionAnnotation.startTLS).flatMap(PlainPreface.Kind.init) }
        set { annotations[SessionAnnotation.startTLS] = newValue.map { Array($0.rawValue.utf8) } }
    }

    /// Whether it is a CancelRequest in the clear.
    var isCancelRequest: Bool {
        get { annotations[SessionAnnotation.cancelRequest] != nil }
        set { annotations[SessionAnnotation.cancelRequest] = newValue ? [1] : nil }
    }

    /// What a load balancer in front calls it.
    var uniqueID: [UInt8]? {
        get { annotations[SessionAnnotation.uniqueID] }
        set { annotations[SessionAnnotation.uniqueID] = newValue }
    }

    /// The digests (`ClientRules.digest`) of the routes with rules that let the client in, until one has been chosen.
    var admittedRoutes: [UInt64] {
        get {
            let bytes = annotations[SessionAnnotation.admittedRoutes] ?? []
            return stride(from: 0, to: bytes.count - bytes.count % 8, by: 8).map { start in
                bytes[start..<start + 8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            }
        }
        set {
            let bytes = newValue.prefix(8_191).flatMap { number in
                withUnsafeBytes(of: number.bigEndian) { Array($0) }
            }
            annotations[SessionAnnotation.admittedRoutes] = bytes.isEmpty ? nil : bytes
        }
    }

    /// What the upstream is to be told of certificates, until it has been.
    var certificates: CertificateExtensions {
        get { annotations[SessionAnnotation.certificates].flatMap(CertificateExtensions.init) ?? .init() }
        set {
            let bytes = newValue.encoded
            annotations[SessionAnnotation.certificates] = bytes.isEmpty ? nil : bytes
        }
    }

    /// Nanoseconds since a byte was passed, to the millisecond.
    var idleFor: UInt64 {
        get {
            let bytes = annotations[SessionAnnotation.idleFor] ?? []
            let milliseconds = bytes.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            return milliseconds.multipliedReportingOverflow(by: 1_000_000).partialValue
        }
        set {
            annotations[SessionAnnotation.idleFor] = withUnsafeBytes(of: (newValue / 1_000_000).bigEndian) { Array($0) }
        }
    }

    /// Notes the front's number.
    mutating func mark(placement: UInt64) {
        annotations[SessionAnnotation.placement] = withUnsafeBytes(of: placement.bigEndian) { Array($0) }
    }

    /// The front's number, if it comes from the front.
    mutating func takePlacement() -> UInt64? {
        guard let bytes = annotations.removeValue(forKey: SessionAnnotation.placement), bytes.count == 8 else {
            return nil
        }
        return bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    }

    /// Notes that the connection goes to its first worker, which is no move. The word holds for this hand-over alone: an owner
    /// that does not know it hands it on, but counts its move.
    mutating func noteFirstWorker() {
        annotations[SessionAnnotation.firstWorker] = withUnsafeBytes(of: UInt64(moves).bigEndian) { Array($0) }
    }

    /// Whether this is the connection's first worker.
    mutating func takeFirstWorker() -> Bool {
        guard let bytes = annotations.removeValue(forKey: SessionAnnotation.firstWorker), bytes.count == 8 else {
            return false
        }
        return bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) } == UInt64(moves)
    }

    /// Notes the moment of the move.
    mutating func stampDetached() {
        annotations[SessionAnnotation.detachedAt] = withUnsafeBytes(of: MonotonicTime.now.bigEndian) { Array($0) }
        // The same in the library's words, which nobody here would take out again.
        annotations[ConnectionHandler.Annotation.suspendedAt] = nil
    }

    /// The moment of the move.
    var detachedAt: UInt64? {
        guard let bytes = annotations[SessionAnnotation.detachedAt], bytes.count == 8 else { return nil }
        return bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    }

    /// Nanoseconds since the move began.
    mutating func takePause() -> UInt64? {
        let moment = detachedAt
        annotations[SessionAnnotation.detachedAt] = nil
        guard let then = moment else { return nil }
        let now = MonotonicTime.now
        return now >= then ? now - then : nil
    }

    // MARK: What the access log tells at the end

    /// The route that has led to the target.
    var route: String? {
        get { text(SessionAnnotation.route) }
        set { annotations[SessionAnnotation.route] = newValue.map { Array($0.utf8) } }
    }

    /// The address of the upstream that has been connected to.
    var upstreamAddress: String? {
        get { text(SessionAnnotation.upstream) }
        set { annotations[SessionAnnotation.upstream] = newValue.map { Array($0.utf8) } }
    }

    /// Milliseconds until that was ready.
    var connectTime: UInt64? {
        get { numbers(SessionAnnotation.connectTime, count: 1)?[0] }
        set { annotations[SessionAnnotation.connectTime] = newValue.map { Self.bytes([$0]) } }
    }

    /// What former owners have counted; nil: there was none that did.
    var traffic: SessionCounts? {
        get {
            guard let numbers = self.numbers(SessionAnnotation.traffic, count: 4) else { return nil }
            var counts = SessionCounts()
            (counts.receivedFromClient, counts.writtenToClient) = (numbers[0], numbers[1])
            (counts.receivedFromUpstream, counts.writtenToUpstream) = (numbers[2], numbers[3])
            return counts
        }
        set {
            annotations[SessionAnnotation.traffic] = newValue.map {
                Self.bytes([
                    $0.receivedFromClient, $0.writtenToClient, $0.receivedFromUpstream, $0.writtenToUpstream,
                ])
            }
        }
    }

    /// How long it has stood still.
    var standstill: Standstill {
        get { annotations[SessionAnnotation.standstill].flatMap(Standstill.init) ?? Standstill() }
        set { annotations[SessionAnnotation.standstill] = newValue.encoded }
    }

    private static func bytes(_ numbers: [UInt64]) -> [UInt8] {
        numbers.flatMap { withUnsafeBytes(of: $0.bigEndian) { Array($0) } }
    }

    private func numbers(_ name: String, count: Int) -> [UInt64]? {
        guard let bytes = annotations[name], bytes.count == 8 * count else { return nil }
        return (0..<count).map { index in bytes[(8 * index)..<(8 * index + 8)].reduce(0) { $0 << 8 | UInt64($1) } }
    }

    private func text(_ name: String) -> String? {
        annotations[name].map { String(decoding: $0, as: UTF8.self) }
    }
}

extension Endpoint {
    /// The form that `description` writes.
    init?(_ text: String) {
        guard case .tcp(.ip(let address), let port)? = try? Address(text) else { return nil }
        self.init(address, port: port)
    }
}
