import BatonNIO
import Foundation
import Handoff
import NIOCore
import NIOHTTP1
import NIOPosix
import TLSHandshake

/// An HTTP/1.1 responder in two processes: the front makes the TLS handshake and reads the first request, then hands the
/// connection to the worker, which answers that request and all that follow. The front is out of the way from then on.
///
///     Worker worker /run/user/1000/worker/handoff
///     Worker front /run/user/1000/worker/handoff cert.pem key.pem 8443
///     curl -k https://localhost:8443/ https://localhost:8443/again
@main
struct Worker {
    static func main() async throws {
        let words = CommandLine.arguments
        switch (words.count, words.dropFirst().first) {
        case (3, "worker"): try await work(at: words[2])
        case (6, "front"):
            try await front(handingTo: words[2], certificate: words[3], key: words[4], port: Int(words[5]) ?? 8_443)
        default:
            print("use: Worker worker PATH | Worker front PATH CERTIFICATE KEY PORT")
            exit(2)
        }
    }

    /// Takes connections and answers their requests. The bytes of the first request come as the application's state.
    static func work(at path: String) async throws {
        let bootstrap = ConnectionBootstrap(group: MultiThreadedEventLoopGroup.singleton) { channel, arrival in
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(FirstBytes(arrival.applicationState))
            try pipeline.configureHTTPServerPipeline()
            try pipeline.addHandler(Responder())
        }
        print("process \(getpid()) waits for connections at \(path)")
        try await HandoffService(at: path, bootstrap: bootstrap).run()
    }

    static func front(handingTo path: String, certificate: String, key: String, port: Int) async throws {
        let context = try ServerContext(
            ServerConfiguration(identities: [
                .init(certificateChain: .file(certificate), privateKey: .file(key))
            ]))
        let worker = try HandoffSender(to: path)
        let bootstrap = ConnectionBootstrap(group: MultiThreadedEventLoopGroup.singleton) { channel, _ in
            try channel.pipeline.syncOperations.addHandler(FrontHandler(worker))
        }
        let listener = try await bootstrap.listen(host: "127.0.0.1", port: port, .tls(context)).get()
        print("process \(getpid()) listens at port \(listener.address?.port ?? port)")
        try await listener.channel.closeFuture.get()
    }
}
