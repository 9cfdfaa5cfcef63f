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
        let meetings = try await loop.submit { NIOLoopBound(Meetings(loop), eventLoop: loop) }.get()
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

        let succession = try await Succession.start(
            at: cluster.successionPath, bootstrap: bootstrap, registry: registry,
            listeners: [.init("rendezvous", host: "127.0.0.1", port: options.port, .tls(context))])
        duty.begin(succession)
        if let taken = succession.taken {
            print("front \(cluster.front) took over \(taken.connectionCount) connections, process \(getpid())")
        } else {
            print("front \(cluster.front) listens at port \(succession.listeners.first?.address?.port ?? 0)")
        }
        let arrivals = Task { [bootstrap] in
            let path = cluster.handoffPath(of: cluster.front)
            try await HandoffService.waitingForPath(path, bootstrap) { !duty.isEnding }
        }
        try await succession.run()
        arrivals.cancel()
        _ = await arrivals.result
        // What is on its way to another front is in nobody's registry.
        await neighbours.finish()
        await registry.whenEmpty(within: .seconds(5))
        print("front \(cluster.front) has handed on \(registry.movesOut) connections and ends, process \(getpid())")
    }
}

extension HandoffService {
    /// Takes what the other fronts hand over. The path is the process's before this one until that has ended.
    fileprivate static func waitingForPath(
        _ path: String, _ bootstrap: ConnectionBootstrap, isServing: @escaping @Sendable () -> Bool
    ) async throws {
        while !Task.isCancelled {
            do {
                let service = try HandoffService(at: path, bootstrap: bootstrap) { _ in
                    isServing() ? .accept : .decline(.leaving)
                }
                print("takes connections from other fronts, process \(getpid())")
                return try await service.run()
            } catch let error as HandoffError where error.code == .pathInUse {
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }
}
