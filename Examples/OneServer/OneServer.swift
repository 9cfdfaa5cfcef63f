import BatonNIO
import Dispatch
import Foundation
import NIOCore
import NIOPosix

/// A server at a Unix socket, of which there is one: it tells everybody who connects which process it is. While it lives a second
/// one is refused, and what one that was killed has left behind is taken over.
///
///     OneServer PATH
@main
struct OneServer {
    static func main() async {
        let words = CommandLine.arguments
        guard words.count == 2 else {
            print("use: OneServer PATH")
            exit(2)
        }
        do { try await serve(at: words[1]) } catch {
            FileHandle.standardError.write(Data("OneServer: \(error)\n".utf8))
            exit(1)
        }
    }

    static func serve(at path: String) async throws {
        // The order matters: first the right to the path, then what a dead process has left there, then the socket.
        let lock = try SocketLock(beside: path)
        try lock.removeStaleSocket()
        let bootstrap = ConnectionBootstrap(group: MultiThreadedEventLoopGroup.singleton) { channel, _ in
            try channel.pipeline.syncOperations.addHandler(Introduction())
        }
        let listener = try await bootstrap.listen(unixPath: path).get()
        print("process \(getpid()) serves \(path)")

        await asked(toEndBy: SIGTERM)
        try await listener.close().get()
        // Nobody else can have taken the path: the lock is still held.
        lock.removeFiles()
    }

    static func asked(toEndBy number: CInt) async {
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number)
        await withCheckedContinuation { continuation in
            source.setEventHandler {
                source.cancel()
                continuation.resume()
            }
            source.resume()
        }
    }
}

/// Says which process serves, and closes.
final class Introduction: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "process \(getpid())\n")), promise: nil)
        context.close(promise: nil)
    }
}
