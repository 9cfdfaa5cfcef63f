import BatonNIO
import Foundation
import NIOCore
import NIOPosix
import TLSHandshake

/// A line-based chat over TLS whose rooms and members survive an upgrade of the process.
///
///     Chat --cert cert.pem --key key.pem --port 7000 --control /run/user/1000/chat/control
///     openssl s_client -quiet -connect localhost:7000        # in other terminals: /name Ada, /join tea, hello
///     Chat --cert cert.pem --key key.pem --control /run/user/1000/chat/control --takeover
@main
struct Chat {
    static func main() async throws {
        let options = Options(CommandLine.arguments)
        let context = try ServerContext(
            ServerConfiguration(identities: [
                .init(certificateChain: .file(options["cert"]), privateKey: .file(options["key"]))
            ]))
        let group = MultiThreadedEventLoopGroup.singleton
        let registry = ConnectionRegistry(group: group)
        let rooms = Rooms()
        let bootstrap = ConnectionBootstrap(group: group, registry: registry) { channel, arrival in
            let member = ChatMember(try arrival.state() ?? ChatMember.State(), rooms: rooms)
            try channel.pipeline.syncOperations.connectionHandler().provideState { member.state }
            try channel.pipeline.syncOperations.addHandler(member)
        }
        var listeners: [Listener] = []
        if options.has("takeover") {
            let taken = try await Takeover(
                from: options["control"], bootstrap: bootstrap, listeners: ["chat": .tls(context)]
            ).run()
            listeners = taken.listeners
            print("process \(getpid()) took over \(taken.connectionCount) members")
        } else {
            let port = Int(options["port"]) ?? 7_000
            listeners = [try await bootstrap.listen(host: "127.0.0.1", port: port, .tls(context), name: "chat").get()]
            print("process \(getpid()) listens at port \(listeners[0].address?.port ?? port)")
        }
        // Returns when a successor has taken everything; then there is nothing left to do.
        try await SuccessionService(
            at: options["control"], bootstrap: bootstrap, registry: registry, listeners: listeners
        ).run()
        print("process \(getpid()) has handed on \(registry.movesOut) members and ends")
    }
}
