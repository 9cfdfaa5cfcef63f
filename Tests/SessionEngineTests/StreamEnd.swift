import Glibc
import SampleArena
import TLSRecords

/// One end of a stream through a session: it sends bytes that their position determines, and checks what it receives.
///
/// It never blocks: `step` does what the socket is ready for. Where it has TLS, each record that it receives must be the
/// next one under the peer's key: a nonce that was used twice, skipped or repeated on the wire fails to open here.
struct StreamEnd: ~Copyable {
    let descriptor: CInt
    var connection: Connection?
    private let seed: UInt64
    private let peerSeed: UInt64
    private(set) var sent: UInt64 = 0
    private(set) var received: UInt64 = 0
    /// Sends no more than this.
    var total: UInt64
    /// Reads nothing.
    var isPaused = false
    /// Sends nothing.
    var isSilent = false
    private var plain: [UInt8] = []
    private var hasClosed = false
    private var isShut = false
    private var random: UInt64
    private(set) var keyUpdates = 0
    /// The peer has ended in order.
    private(set) var hasEnded = false
    private(set) var fault: String?
    /// The error that ended the connection.
    private(set) var error: TLSError?

    /// What it sends are requests, and what it receives are their answers.
    private let isOfPage: Bool

    init(
        descriptor: CInt, snapshot: consuming Snapshot?, seed: UInt64, peerSeed: UInt64, total: UInt64,
        isOfPage: Bool = false
    ) {
        self.descriptor = descriptor
        if let snapshot = snapshot.take() { connection = Connection(resuming: snapshot) }
        self.seed = seed
        self.peerSeed = peerSeed
        self.total = total
        self.isOfPage = isOfPage
        random = seed &* 0x9E37_79B9_7F4A_7C15
    }

    deinit { close(descriptor) }

    /// What its peer is to receive, all in all.
    var due: UInt64 { isOfPage ? SamplePage.answered(sent) : sent }

    var isDone: Bool { isShut && hasEnded || fault != nil }

    /// 65,521 bytes, twice: no power of two, so that whatever shifts a stream by a buffer's size is seen.
    private static let pattern: [UInt8] = {
        var state: UInt64 = 42
        let once = (0..<period).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 40)
        }
        return once + once
    }()
    private static let period = 65_521

    private static func bytes(_ seed: UInt64, _ position: UInt64, _ count: Int) -> ArraySlice<UInt8> {
        let first = Int((position &+ seed &* 7_919) % UInt64(period))
        return pattern[first..<first + count]
    }

    private mutating func next() -> UInt64 {
        random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return random >> 33
    }

    /// What poll(2) is to be asked for.
    var interest: Int16 { Int16((isPaused ? 0 : POLLIN) | (isShut || isSilent ? 0 : POLLOUT)) }

    mutating func step(_ events: Int16) {
        if events & Int16(POLLIN | POLLHUP | POLLERR) != 0 { read() }
        if events & Int16(POLLOUT) != 0 { write() }
    }

    private mutating func write() {
        guard fault == nil, !isShut, !isSilent else { return }
        if waiting == 0, sent < total {
            let count = Int(min(total - sent, next() % 4 == 0 ? next() % 40_000 + 1 : next() % 300 + 1))
            let bytes = Array(
                isOfPage ? SamplePage.requests.from(sent, count) : StreamEnd.bytes(seed, sent, count))
            sent += UInt64(count)
            if connection != nil {
                try! connection!.send(bytes.span.bytes)
                if connection.hasKeyUpdates, next() % 16 == 0 {
                    let asksBack = next() % 2 == 0
                    try! connection!.updateKeys(requestingPeer: asksBack)
                }
            } else {
                plain = bytes
            }
        }
        if waiting == 0, sent >= total, !hasClosed {
            hasClosed = true
            if connection != nil { connection!.close() }
        }
        flush()
        if waiting == 0, hasClosed, !isShut {
            isShut = true
            shutdown(descriptor, Int32(SHUT_WR))
        }
    }

    private var waiting: Int { plain.count + connection.outgoingCount }

    private mutating func flush() {
        guard waiting > 0 else { return }
        let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
        let count: Int
        if connection != nil {
            count = connection!.withOutgoing {
                $0.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, flags) }
            }
            connection!.didWrite(count)
        } else {
            count = plain.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, flags) }
            if count > 0 { plain.removeFirst(count) }
        }
        if count < 0, errno != EAGAIN { fault = "write: errno \(errno) after \(sent)" }
    }

    private mutating func read() {
        guard fault == nil, !hasEnded, !isPaused else { return }
        let size = Int(next() % 30_000 + 1)
        var bytes = [UInt8](repeating: 0, count: size)
        let count = recv(descriptor, &bytes, size, Int32(MSG_DONTWAIT))
        if count < 0 {
            if errno != EAGAIN { fault = "read: errno \(errno) at \(received)" }
            return
        }
        if connection == nil {
            if count == 0 { hasEnded = true } else { check(bytes[..<count]) }
            return
        }
        if count == 0 {
            connection!.receiveEnd()
        } else {
            connection!.receive(bytes.span.bytes.extracting(first: count))
        }
        do {
            while let event = try connection!.nextEvent() {
                switch event {
                case .applicationData(let length):
                    let data = connection!.withUnread { $0.withUnsafeBytes { Array($0) } }
                    connection!.consumeUnread(length)
                    check(data[...])
                case .closeNotify: hasEnded = true
                case .keyUpdate: keyUpdates += 1
                case .sessionTicket: break
                }
            }
        } catch {
            self.error = error
            fault = "TLS: \(error) at \(received)"
        }
        if !isShut { flush() }
    }

    private mutating func check(_ data: ArraySlice<UInt8>) {
        let isRight = data.withUnsafeBytes { data in
            let expected =
                isOfPage
                ? SamplePage.answers.from(received, data.count) : StreamEnd.bytes(peerSeed, received, data.count)
            return expected.withUnsafeBytes {
                memcmp($0.baseAddress!, data.baseAddress!, data.count) == 0
            }
        }
        guard isRight else {
            fault = "wrong bytes within \(data.count) from \(received)"
            return
        }
        received += UInt64(data.count)
    }
}

extension StreamEnd {
    /// A place for one in an array.
    final class Box {
        var end: StreamEnd
        init(_ end: consuming StreamEnd) { self.end = end }
    }
}

extension Optional where Wrapped == Connection {
    fileprivate var outgoingCount: Int {
        switch self {
        case .none: 0
        case .some(let connection): connection.outgoingCount
        }
    }

    fileprivate var hasKeyUpdates: Bool {
        switch self {
        case .none: false
        case .some(let connection): connection.info.version == .tls13
        }
    }
}
