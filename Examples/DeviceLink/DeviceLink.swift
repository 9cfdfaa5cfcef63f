import BatonNIO
import Foundation
import NIOCore
import NIOPosix
import TLSHandshake

/// Commands for devices that have nothing but a TLS client. A device holds one connection, is known by its client certificate,
/// and gets each command until it has said that it is done.
///
///     DeviceLink --port 7100 --cert cert.pem --key key.pem --ca device-ca.pem --operator /run/user/1000/link/operator
///         --store /var/lib/link --control /run/user/1000/link/succession
///     echo "send device-17 reboot" | nc -U /run/user/1000/link/operator
///
/// A deploy is the same command once more.
@main
struct DeviceLink {
    static func main() async throws {
        let options = Options(CommandLine.arguments)
        let context = try ServerContext(
            ServerConfiguration(
                identities: [.init(certificateChain: .file(options["cert"]), privateKey: .file(options["key"]))],
                clientCertificates: .required(authorities: .file(options["ca"]))))
        // One event loop: what devices and operators share needs no lock there.
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let registry = ConnectionRegistry(group: group)
        let triggers = try await DatagramBootstrap(group: loop).bind(host: "0.0.0.0", port: 0).get()
        let directory = options["store"]
        let desk = try await loop.submit {
            let desk = Desk(loop, try Store(directory), Triggers(triggers))
            desk.start()
            return NIOLoopBound(desk, eventLoop: loop)
        }.get()
        var bootstrap = ConnectionBootstrap(group: group, registry: registry) { channel, arrival in
            let pipeline = channel.pipeline.syncOperations
            let handler = try pipeline.connectionHandler()
            // Half a line goes with its connection.
            try pipeline.addHandler(MovableDecoderHandler(LineDecoder(), maximumBufferSize: 4_096))
            if handler.metadata.listener == "operator" {
                let session = OperatorSession(try arrival.state() ?? .init(), desk.value)
                handler.provideState { session.state }
                try pipeline.addHandler(session)
            } else {
                let session = DeviceSession(try arrival.state() ?? .init(), desk.value)
                handler.provideState { session.state }
                try pipeline.addHandler(session)
            }
        }
        // An operator that has said all it has to say waits for the ends of its commands.
        bootstrap.options.allowsHalfClosure = true
        // A device whose network has gone is noticed within a minute, with nothing sent.
        bootstrap.socketOptions.keepAliveIdle = 30
        bootstrap.socketOptions.userTimeout = 60_000
        let succession = try await Succession.start(
            at: options["control"], bootstrap: bootstrap, registry: registry,
            listeners: [
                .init("devices", host: "127.0.0.1", port: Int(options["port"]) ?? 7_100, .tls(context)),
                .init("operator", unixPath: options["operator"]),
            ])
        let port = succession.listeners.first { $0.name == "devices" }?.address?.port ?? 0
        if let taken = succession.taken {
            print("process \(getpid()) took over \(taken.connectionCount) connections at port \(port)")
        } else {
            print("process \(getpid()) listens for devices at port \(port)")
        }
        try await succession.run()
        print("process \(getpid()) has handed on \(registry.movesOut) connections and ends")
    }
}
