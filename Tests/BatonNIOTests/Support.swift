import BatonNIO
import Foundation
import NIOCore
import NIOPosix
import SelfSigned
import Synchronization
import TLSHandshake
import TLSRecords

/// How long a test waits for something that should happen at once; the machine may be loaded.
let patienceSeconds: Int32 = 60

struct TestFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Event loops for all tests: two, so that connections have somewhere to move.
let loops = MultiThreadedEventLoopGroup(numberOfThreads: 2)

/// A certificate for the tests, made once a run.
enum Credentials {
    static let authority = make { try CertificateAuthority(commonName: "BatonNIO tests") }
    private static let leaf = make { try authority.issue(for: ["localhost", "127.0.0.1"]) }

    static let files = make {
        let files = try TemporaryFiles()
        _ = try files.write(leaf.certificatePEM, "cert.pem")
        _ = try files.write(leaf.privateKeyPEM, "key.pem")
        _ = try files.write(authority.certificatePEM, "ca.pem")
        return files
    }

    static func server(_ options: ProtocolOptions = .init()) throws -> ServerContext {
        try ServerContext(
            ServerConfiguration(
                identities: [
                    .init(certificateChain: .text(leaf.certificatePEM), privateKey: .text(leaf.privateKeyPEM))
                ], options: options))
    }

    static func client(_ options: ProtocolOptions = .init()) throws -> ClientContext {
        try ClientContext(
            ClientConfiguration(verification: .roots(.text(authority.certificatePEM)), options: options))
    }

    private static func make<T>(_ body: () throws -> T) -> T {
        do { return try body() } catch { fatalError("no credentials for the tests: \(error)") }
    }
}

/// Files for programs that want them.
final class TemporaryFiles: Sendable {
    let folder = NSTemporaryDirectory() + "baton-nio-" + UUID().uuidString

    init() throws {
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }
    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func path(_ name: String) -> String { folder + "/" + name }

    func write(_ text: String, _ name: String) throws -> String {
        try text.write(toFile: path(name), atomically: true, encoding: .utf8)
        return path(name)
    }
}

/// A value another thread sets once and a test waits for.
final class Expectation<Value: Sendable>: Sendable {
    private let promise: EventLoopPromise<Value>
    private let isSet = Mutex(false)

    init() { promise = loops.any().makePromise(of: Value.self) }

    func fulfil(_ value: Value) {
        if isSet.withLock({ old in
            defer { old = true }; return !old
        }) {
            promise.succeed(value)
        }
    }

    func value(_ what: String = "what was expected") async throws -> Value {
        let limit = loops.any().scheduleTask(in: .seconds(Int64(patienceSeconds))) { [self] in
            if isSet.withLock({ old in
                defer { old = true }; return !old
            }) {
                promise.fail(TestFailure("\(what) did not happen"))
            }
        }
        defer { limit.cancel() }
        return try await promise.futureResult.get()
    }

    deinit { if isSet.withLock({ !$0 }) { promise.fail(TestFailure("given up")) } }
}
