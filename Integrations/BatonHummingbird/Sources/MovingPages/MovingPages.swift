import BatonHummingbird
import BatonNIO
import Foundation
import Hummingbird
import TLSHandshake

/// Pages and WebSockets over TLS, whose connections outlive the program: start it again, and the new one goes on with them.
///
///     MovingPages CERT KEY PORT SOCKET
@main
struct MovingPages {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 5, let port = Int(arguments[3]) else {
            print(
                "usage: MovingPages CERT KEY PORT SOCKET, the files of a certificate and its key, and a path for deploys"
            )
            exit(2)
        }
        let context = try ServerContext(
            ServerConfiguration(identities: [
                .init(certificateChain: .file(arguments[1]), privateKey: .file(arguments[2]))
            ]))
        let server = try MovableServer(
            at: arguments[4], listeners: [.init("web", host: "127.0.0.1", port: port, .tls(context))])
        let application = Application(
            router: router(), server: .baton(.http1(webSockets: Counting.webSockets), server),
            configuration: .init(address: server.address))
        try await server.run(application)
    }

    private static func router() -> Router<BasicRequestContext> {
        let router = Router()
        router.get("who") { _, _ in "process \(getpid())" }
        // The answer grows as the request comes: a request in flight is both.
        router.post("upload") { request, _ in
            Response(
                status: .ok,
                body: .init { writer in
                    for try await piece in request.body {
                        try await writer.write(
                            ByteBuffer(string: "process \(getpid()) has got \(piece.readableBytes) bytes\n"))
                    }
                    try await writer.finish(nil)
                })
        }
        return router
    }
}
