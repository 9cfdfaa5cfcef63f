import BatonNIO
import Foundation
import NIOCore
import NIOPosix
import TLSHandshake

/// A line-based chat over TLS whose rooms and members survive an upgrade of the process.
///
///     Chat --cert cert.pem --key key.pem --port 7000 --control /run/user/1000/chat/control
///     openssl s_client -quiet -connect localhost:7000        # in other terminals: /name Ada, /join tea, hello
///     Chat --cert cert.pem --key key.pem --port 7000 --control /run/user/1000/chat/control      # the upgrade: once more
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
        let succession = try await Succession.start(
            at: options["control"], bootstrap: bootstrap, registry: registry,
            listeners: [.init("chat", host: "127.0.0.1", port: Int(options["port"]) ?? 7_000, .tls(context))])
        if let taken = succession.taken {
            print("process \(getpid()) took over \(taken.connectionCount) members")
        } else {
            print("process \(getpid()) listens at port \(succession.listeners.first?.address?.port ?? 0)")
        }
        // Returns when a successor has taken everything; then there is nothing left to do.
        try await succession.run()
        print("process \(getpid()) has handed on \(registry.movesOut) members and ends")
    }
}
