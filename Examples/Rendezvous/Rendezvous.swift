import BatonNIO
import Foundation
import NIOCore
import NIOPosix
import TLSHandshake

/// A rendezvous for file transfer in several processes: who uploads with a token and who downloads with it meet in the one
/// process that owns the token, whichever of them they have come to.
///
///     Rendezvous --front a --fronts a,b --cluster /run/user/1000/rendezvous --port 7001 --cert cert.pem --key key.pem
///     Rendezvous --front b --fronts a,b --cluster /run/user/1000/rendezvous --port 7002 --cert cert.pem --key key.pem
///     curl -k -T film.mp4 https://localhost:7001/token &  curl -k https://localhost:7002/token -o copy.mp4
///
/// A deploy of a front is the same command once more.
@main
struct Rendezvous {
    static func main() async throws {
        let options = try Options(CommandLine.arguments)
        let context = try ServerContext(
            ServerConfiguration(identities: [
                .init(certificateChain: .file(options.certificate), privateKey: .file(options.key))
            ]))
        let cluster = options.cluster
        // One event loop: what meets there needs no lock. More cores are used by more fronts.
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let registry = ConnectionRegistry(group: group)
        let meetings = try await loop.submit {
            NIOLoopBound(Meetings(loop, most: options.tokens), eventLoop: loop)
        }.get()
        let neighbours = Neighbours(cluster)
        let duty = Duty()
        var bootstrap = ConnectionBootstrap(group: group, registry: registry) { channel, arrival in
            let greeter = { Greeter(cluster, neighbours, meetings.value, duty, isRouted: $0) }
            try Seat.place(channel, arrival, meetings.value, greeter)
        }
        // A peer whose machine has gone is noticed within a minute, also while nothing is sent.
        bootstrap.socketOptions.keepAliveIdle = 30
        bootstrap.socketOptions.userTimeout = 60_000
        await neighbours.serve(bootstrap)

        let starting = Task { [bootstrap] in
            let succession = try await Succession.start(
                at: cluster.successionPath, bootstrap: bootstrap, registry: registry,
                listeners: [.init("rendezvous", host: "127.0.0.1", port: options.port, .tls(context))])
            duty.begin(succession)
            return succession
        }
        // It begins before the succession is through: that may wait for a connection that cannot be moved yet.
        let arrivals = Task { [bootstrap] in
            try await takeArrivals(at: cluster.handoffPath(of: cluster.front), bootstrap, duty, starting)
        }
        let succession = try await starting.value
        if let taken = succession.taken {
            print("front \(cluster.front) took over \(taken.connectionCount) connections, process \(getpid())")
        } else {
            print("front \(cluster.front) listens at port \(succession.listeners.first?.address?.port ?? 0)")
        }
        try await succession.run()
        arrivals.cancel()
        _ = await arrivals.result
        // What is on its way to another front is in nobody's registry.
        await neighbours.finish()
        await registry.whenEmpty(within: .seconds(5))
        print("front \(cluster.front) has handed on \(registry.movesOut) connections and ends, process \(getpid())")
    }

    /// Takes what the other fronts hand over, as long as this process has the listener. Then the path is the successor's; should that
    /// fail, it is this process's again.
    private static func takeArrivals(
        at path: String, _ bootstrap: ConnectionBootstrap, _ duty: Duty, _ starting: Task<Succession, any Error>
    ) async throws {
        while !Task.isCancelled {
            do {
                let service = try HandoffService(at: path, bootstrap: bootstrap) { _ in
                    duty.isEnding ? .decline(.leaving) : .accept
                }
                print("takes connections from other fronts, process \(getpid())")
                let serving = Task { try await service.run() }
                let listener = try await starting.value.listeners.first { $0.channel.isActive }
                try await listener?.channel.closeFuture.get()
                serving.cancel()
                try await serving.value
                while duty.isEnding { try await Task.sleep(for: .milliseconds(20)) }
            } catch let error as HandoffError where error.code == .pathInUse {
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }
}
