import ArgumentParser
import BatonCore
import Foundation
import Handoff
import Libc
import SelfSigned
import TLSHandshake
import TLSRecords

/// One run of the demo.
///
/// A front accepts the client and completes the handshake. Three owner processes in a ring hand the connection on. The
/// run itself is the backend, and it holds the client's standard input and output, so it sees both streams at both ends.
struct DemoRun {
    private static let ownerCount = 3
    private static let handshakeLimit = Duration.seconds(20)
    private static let stallSeconds: UInt64 = 40

    let moves: Int
    let bytes: Int
    let version: TLSVersion
    let suites: [CipherSuite]
    let peer: DemoPeer.Kind
    let showsProgress: Bool

    func report() throws -> DemoReport {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }

        let authority = try CertificateAuthority(commonName: "Baton demo")
        let authorityPath = folder.appendingPathComponent("authority.pem").path
        try Data(authority.certificatePEM.utf8).write(to: URL(fileURLWithPath: authorityPath))
        let front = try DemoFront(try context(authority))

        let owners = try startOwners(in: folder)
        defer { for owner in owners { owner.stop() } }

        let client = DemoPeer(kind: peer, version: version, authorityPath: authorityPath)
        let process = try client.process(port: front.port)
        let (toClient, fromClient) = (Pipe(), Pipe())
        process.standardInput = toClient
        process.standardOutput = fromClient
        try process.run()
        defer {
            // It may have inherited a mask that blocks SIGTERM.
            if process.isRunning { kill(process.processIdentifier, SIGKILL) }
            process.waitUntilExit()
        }

        var parcel = try front.accept(within: DemoRun.handshakeLimit)
        let info = parcel.snapshot?.info
        parcel.applicationState = DemoState(wantedMoves: moves, totalBytes: 2 * bytes).bytes
        let backend = try addBackend(to: &parcel)
        defer { close(backend) }
        try handOver(parcel, to: folder)

        var observer = DemoObserver(
            owners: owners, streams: DemoStreams(total: bytes),
            progress: DemoProgressLine(isShown: showsProgress, moves: moves))
        observer.streams.startReading(.backendReceives, from: backend)
        observer.streams.startReading(.clientReceives, from: fromClient.fileHandleForReading.fileDescriptor)
        observer.streams.startWriting(.backendSends, to: backend)
        observer.streams.startWriting(.clientSends, to: toClient.fileHandleForWriting.fileDescriptor)
        let start = MonotonicTime.now
        observer.watch(stallAfter: DemoRun.stallSeconds) {
            // Every byte has arrived at both ends: the backend says it is done, the owner sends close_notify.
            shutdown(backend, Int32(SHUT_RDWR))
        }
        if let signal = Interruption.signal { throw ExitCode(128 + signal) }
        let seconds = Double(MonotonicTime.now - start) / 1e9
        return observer.report(
            peer: try client.name(), version: version, cipher: info?.suite.description ?? "unknown",
            wantedMoves: moves, seconds: seconds)
    }

    private func temporaryFolder() throws -> URL {
        let template = strdup("\(NSTemporaryDirectory())/baton-demo-XXXXXX")
        defer { free(template) }
        guard let template, mkdtemp(template) != nil else {
            throw Failure("cannot make a folder in \(NSTemporaryDirectory()): \(String(cString: strerror(errno)))")
        }
        return URL(fileURLWithPath: String(cString: template), isDirectory: true)
    }

    private func context(_ authority: CertificateAuthority) throws -> ServerContext {
        let wantsRSA = suites.allSatisfy { $0.description.contains("ECDHE_RSA") }
        let issued = try authority.issue(for: ["localhost", "127.0.0.1"], keyType: wantsRSA ? .rsa2048 : .p256)
        let identity = ServerConfiguration.Identity(
            certificateChain: .text(issued.certificatePEM), privateKey: .text(issued.privateKeyPEM))
        let options = ProtocolOptions(minimumVersion: version, maximumVersion: version, cipherSuites: suites)
        return try ServerContext(ServerConfiguration(identities: [identity], options: options))
    }

    private func startOwners(in folder: URL) throws -> [DemoOwnerProcess] {
        let paths = (0..<DemoRun.ownerCount).map { ownerPath($0, in: folder) }
        var owners: [DemoOwnerProcess] = []
        do {
            for index in paths.indices {
                owners.append(try DemoOwnerProcess(listen: paths[index], next: paths[(index + 1) % paths.count]))
            }
            for owner in owners {
                guard owner.readLines() == [.ready] else { throw Failure("an owner process did not start") }
            }
            for owner in owners { owner.go() }
            return owners
        } catch {
            for owner in owners { owner.stop() }
            throw error
        }
    }

    private func ownerPath(_ index: Int, in folder: URL) -> String {
        folder.appendingPathComponent("owner-\(index).sock").path
    }

    /// Adds the relay's backend socket to the parcel and returns the other end.
    private func addBackend(to parcel: inout Parcel) throws -> Int32 {
        var pair: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, SocketKind.stream | SocketKind.closeOnExec, 0, &pair) == 0 else {
            throw Failure("socketpair: \(String(cString: strerror(errno)))")
        }
        NonBlockingIO.setNonBlocking(pair[0])
        parcel.sockets.append(owning: pair[0])
        return pair[1]
    }

    private func handOver(_ parcel: consuming Parcel, to folder: URL) throws {
        let limit = Deadline.after(DemoRun.handshakeLimit)
        var channel = OwnerChannel(try HandoffSocket.connect(to: ownerPath(0, in: folder), deadline: limit))
        let outcome = channel.offer(ParcelBatch(parcel), deadline: limit)
        guard outcome.settlement.handedOverCount == 1 else {
            throw Failure("the first owner did not take the connection: \(outcome.settlement.ending)")
        }
        try channel.awaitConfirmation(deadline: limit)
    }
}
