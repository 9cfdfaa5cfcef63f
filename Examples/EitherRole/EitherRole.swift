import BatonNIO
import Foundation
import NIOCore
import NIOPosix
import TLSHandshake

/// An echo over TLS for peers of which nobody knows whether they will be the TLS client or the TLS server: one that speaks first is
/// the client, and one that waits for us is the server, as many devices are that call home.
///
///     EitherRole PORT CERTIFICATE KEY AUTHORITIES NAME [SECONDS]
@main
struct EitherRole {
    static func main() async {
        do { try await serve(Array(CommandLine.arguments.dropFirst())) } catch {
            FileHandle.standardError.write(Data("EitherRole: \(error)\n".utf8))
            exit(1)
        }
    }

    static func serve(_ words: [String]) async throws {
        let seconds = words.count > 5 ? Int(words[5]) : RoleDetector.defaultTimeLimitSeconds
        guard 5...6 ~= words.count, let port = Int(words[0]), 0...65_535 ~= port, let seconds, 1...3_600 ~= seconds
        else {
            print("use: EitherRole PORT CERTIFICATE KEY AUTHORITIES NAME [SECONDS]")
            exit(2)
        }
        let identity = ServerConfiguration.Identity(certificateChain: .file(words[1]), privateKey: .file(words[2]))
        let sides = Sides(
            server: try ServerContext(ServerConfiguration(identities: [identity])),
            client: try ClientContext(ClientConfiguration(verification: .roots(.file(words[3])), identity: identity)),
            peerName: words[4], patience: .seconds(Int64(seconds)))
        let bootstrap = ConnectionBootstrap(group: MultiThreadedEventLoopGroup.singleton) { channel, _ in
            try channel.pipeline.syncOperations.addHandler(RoleHandler(sides))
        }
        let listener = try await bootstrap.listen(host: "127.0.0.1", port: port, .plain).get()
        print("listens at port \(listener.address?.port ?? port)")
        try await listener.channel.closeFuture.get()
    }
}

/// What this process needs to be either side.
struct Sides: Sendable {
    let server: ServerContext
    /// A peer that is the TLS server must show a certificate of these authorities, for this name.
    let client: ClientContext
    let peerName: String
    /// How long a peer may be silent before it is taken for a TLS server.
    let patience: TimeAmount
}
