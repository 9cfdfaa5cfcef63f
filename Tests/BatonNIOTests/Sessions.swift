import BatonNIO
import Crypto
import Handoff
import NIOCore
import NIOPosix
import Synchronization
import TLSRecords

/// Moves connections of this process from loop to loop.
final class Mover: Sendable {
    let moves = Atomic<Int>(0)
    private let bootstrap = Mutex<ConnectionBootstrap?>(nil)
    let failure = Expectation<String>()

    func use(_ bootstrap: ConnectionBootstrap) { self.bootstrap.withLock { $0 = bootstrap } }

    /// Takes the connection out and puts it into another loop.
    func move(_ context: ChannelHandlerContext) {
        guard let bootstrap = bootstrap.withLock({ $0 }) else { return }
        do {
            let parcel = try context.pipeline.syncOperations.connectionHandler().detach()
            moves.wrappingAdd(1, ordering: .relaxed)
            let failure = failure
            bootstrap.attach(parcel, on: loops.next()).whenFailure { failure.fulfil("attach: \($0)") }
        } catch {
            failure.fulfil("detach: \(error)")
        }
    }
}

/// Sends back what comes, and moves after so many bytes.
final class Echo: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let mover: Mover?
    private let moveEvery: Int
    private var count = 0
    private let flushes: Bool

    init(_ mover: Mover? = nil, moveEvery: Int = .max, flushes: Bool = true) {
        self.mover = mover
        self.moveEvery = moveEvery
        self.flushes = flushes
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        count += buffer.readableBytes
        context.write(wrapOutboundOut(buffer), promise: nil)
        if count >= moveEvery {
            // Now and then with the write not flushed.
            if flushes { context.flush() }
            count = 0
            mover?.move(context)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) { context.flush() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

/// Tells a test what happens on a connection, in words.
final class Witness: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let log: AsyncStream<String>.Continuation
    private let arrived: Expectation<any Channel>?

    init(_ log: AsyncStream<String>.Continuation, _ arrived: Expectation<any Channel>? = nil) {
        self.log = log
        self.arrived = arrived
    }

    func channelActive(context: ChannelHandlerContext) {
        arrived?.fulfil(context.channel)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        log.yield("read \(String(buffer: unwrapInboundIn(data)))")
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ConnectionEvent.established(let info): log.yield("established \(info.version)")
        case ConnectionEvent.keyUpdate(let requested): log.yield("key update \(requested)")
        case ConnectionEvent.detached: log.yield("detached")
        case ChannelEvent.inputClosed: log.yield("input closed")
        default: break
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case let error as ConnectionError: log.yield("error \(error.code.rawValue)")
        case let error as TLSError: log.yield("error \(error.code)")
        default: log.yield("error \(error)")
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        log.yield("inactive")
        context.fireChannelInactive()
    }
}

/// Waits for words in a log; other words are passed over.
func expect(_ wanted: String, in log: inout AsyncStream<String>.AsyncIterator) async throws {
    var seen: [String] = []
    while let word = await log.next() {
        if word.hasPrefix(wanted) { return }
        seen.append(word)
    }
    throw TestFailure("'\(wanted)' did not happen; seen: \(seen)")
}

extension Listener {
    func port() throws -> Int {
        guard let port = address?.port else { throw TestFailure("the listener has no port") }
        return port
    }
}

/// The same bytes on every run, as long as wanted, with their digest.
func pattern(_ count: Int) -> (bytes: [UInt8], digest: String) {
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    let bytes = (0..<count).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(truncatingIfNeeded: state >> 33)
    }
    return (bytes, SHA256.hash(data: bytes).map { String($0, radix: 16).leftPadded(2) }.joined())
}

extension String {
    fileprivate func leftPadded(_ width: Int) -> String { String(repeating: "0", count: width - count) + self }
}
