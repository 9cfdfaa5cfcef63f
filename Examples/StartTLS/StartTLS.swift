import BatonNIO
import Foundation
import NIOCore
import NIOPosix
import TLSHandshake

/// A mail server in two processes. The parent accepts, and speaks SMTP in the clear up to STARTTLS; it has no certificate and no key.
/// The worker gets the connection while it is plain, makes the TLS handshake, and takes mail.
///
///     StartTLS worker SOCKET CERTIFICATE KEY
///     StartTLS parent SOCKET PORT
@main
struct StartTLS {
    static func main() async {
        let words = Array(CommandLine.arguments.dropFirst())
        do {
            switch (words.first, words.count) {
            case ("worker", 4): try await work(at: words[1], certificate: words[2], key: words[3])
            case ("parent", 3): try await serve(handingTo: words[1], port: Int(words[2]) ?? 2_525)
            default:
                print("use: StartTLS worker SOCKET CERTIFICATE KEY | StartTLS parent SOCKET PORT")
                exit(2)
            }
        } catch {
            FileHandle.standardError.write(Data("StartTLS: \(error)\n".utf8))
            exit(1)
        }
    }

    static func work(at path: String, certificate: String, key: String) async throws {
        let context = try ServerContext(
            ServerConfiguration(identities: [
                .init(certificateChain: .file(certificate), privateKey: .file(key))
            ]))
        let bootstrap = ConnectionBootstrap(group: MultiThreadedEventLoopGroup.singleton) { channel, _ in
            // A client that does not read its answers is not read either.
            try channel.pipeline.syncOperations.addHandler(BackPressureHandler())
            try channel.pipeline.syncOperations.addHandler(MailHandler(context))
        }
        let service = try HandoffService(at: path, bootstrap: bootstrap)
        print("process \(getpid()) waits for connections at \(path)")
        try await service.run()
    }

    static func serve(handingTo path: String, port: Int) async throws {
        let parent = Parent(MultiThreadedEventLoopGroup.singleton, worker: path)
        let listener = try await parent.bootstrap.listen(host: "127.0.0.1", port: port, .plain).get()
        print("process \(getpid()) listens at port \(listener.address?.port ?? port)")
        try await listener.channel.closeFuture.get()
    }
}
