import BatonNIO
import Foundation
import Handoff
import Logging
import NIOCore
import NIOPosix
import SelfSigned
import TLSHandshake
import Testing

/// Parts that a program brings itself: its own server bootstrap, its own times to accept, certificates that it renews.
@Suite(.timeLimit(.minutes(2))) struct OwnBootstrapTests {
    @Test("connections and the listener of a program's own server bootstrap are handed on", arguments: ["1.3", nil])
    func adopted(tls: String?) async throws {
        let files = try TemporaryFiles()
        let registry = ConnectionRegistry(group: loops)
        let bootstrap = ConnectionBootstrap(group: loops, registry: registry) { channel, _ in
            try channel.pipeline.syncOperations.addHandler(Echo())
        }
        let security = try MoveTests.security(tls)
        let server = try await ServerBootstrap(group: loops)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try bootstrap.accept(channel, security, name: "own") }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let listener = bootstrap.listener(of: server, security, name: "own")
        let port = try listener.port()
        let peer = try PythonPeer.client(port: port, tls: tls, "talk")
        try peer.send("here\n")
        #expect(try await peer.line("got ") == "here")
        let service = try SuccessionService(
            at: files.path("control"), bootstrap: bootstrap, registry: registry, listeners: [listener])
        let running = Task { try await service.run() }
        let next = ConnectionRegistry(group: loops)
        let successor = ConnectionBootstrap(group: loops, registry: next) { channel, _ in
            try channel.pipeline.syncOperations.addHandler(Echo())
        }
        let taken = try await Takeover(
            from: files.path("control"), bootstrap: successor, listeners: ["own": security]
        ).run()
        try await running.value
        #expect(taken.connectionCount == 1 && registry.count == 0 && next.count == 1)
        try peer.send("there\n")
        #expect(try await peer.line("got ") == "there")
        let newcomer = try PythonPeer.client(port: port, tls: tls, "talk")
        try newcomer.send("new\n")
        #expect(try await newcomer.line("got ") == "new")
        for listener in taken.listeners { try await listener.close().get() }
    }

    @Test("a listener that pauses lets those who connect wait, and refuses nobody")
    func pauses() async throws {
        let registry = ConnectionRegistry(group: loops)
        let bootstrap = ConnectionBootstrap(group: loops, registry: registry) { channel, _ in
            try channel.pipeline.syncOperations.addHandler(Echo())
        }
        let listener = try await bootstrap.listen(host: "127.0.0.1", port: 0, .plain).get()
        try await listener.pause().get()
        let (stream, log) = AsyncStream.makeStream(of: String.self)
        var words = stream.makeAsyncIterator()
        let client = try await ConnectionBootstrap(group: loops) { channel, _ in
            try channel.pipeline.syncOperations.addHandler(Witness(log))
        }.connect(host: "127.0.0.1", port: try listener.port(), .plain).get()
        try await client.writeAndFlush(ByteBuffer(string: "hello"))
        #expect(registry.count == 0)
        try await listener.resume().get()
        #expect(await words.next() == "read hello")
        try await client.close()
        try await listener.close().get()
    }

    @Test("certificates are renewed while the listener and its connections go on")
    func renewed() async throws {
        func context(_ name: String) throws -> ServerContext {
            let leaf = try CertificateAuthority(commonName: name).issue(for: ["localhost"])
            return try ServerContext(
                ServerConfiguration(identities: [
                    .init(certificateChain: .text(leaf.certificatePEM), privateKey: .text(leaf.privateKeyPEM))
                ]))
        }
        let current = CurrentServerContext(try context("Old authority"))
        let bootstrap = ConnectionBootstrap(group: loops) { channel, _ in
            try channel.pipeline.syncOperations.addHandler(Echo())
        }
        let listener = try await bootstrap.listen(host: "127.0.0.1", port: 0, .current(current)).get()
        func connect() throws -> PeerProcess {
            try PeerProcess([
                "openssl", "s_client", "-connect", "127.0.0.1:\(try listener.port())", "-nocommands", "-no_ign_eof",
            ])
        }
        let before = try connect()
        #expect(try await before.line("issuer=").contains("Old authority"))
        current.replace(with: try context("New authority"))
        let after = try connect()
        #expect(try await after.line("issuer=").contains("New authority"))
        for peer in [before, after] {
            try peer.send("still here\n")
            #expect(try await peer.line("still here") == "")
        }
        try await listener.close().get()
    }
}
