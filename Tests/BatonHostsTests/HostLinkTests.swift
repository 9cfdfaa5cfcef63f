import Foundation
import Glibc
import SelfSigned
import StockPeers
import TLSHandshake
import Testing

@testable import BatonHosts

@Suite("A link between hosts", .timeLimit(.minutes(2)))
struct HostLinkTests {
    private static let authority = try! CertificateAuthority(commonName: "Hosts")
    private static let stranger = try! CertificateAuthority(commonName: "Somebody else")

    @Test("carries messages of every length, whole and in order, both ways")
    func lengths() async throws {
        let lengths = [1, 0, 16_384, 16_385, 1 << 18, (1 << 18) + 1, 3_000_000, 5]
        let (near, far) = try await Self.links()
        let echo = start {
            for _ in lengths {
                let message = try far.receive(within: .seconds(60))
                try message.withUnsafeBytes { try far.send($0.bytes) }
            }
        }
        for length in lengths {
            let message = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ length) }
            try near.send(message.span.bytes)
            let isSame = try Self.receive(near) == message
            #expect(isSame, "\(length)")
        }
        try await echo.value
        #expect(near.peerName == "b.example")
        #expect(far.peerName == "a.example")
        #expect(near.failure == nil && far.failure == nil)
    }

    @Test("is not made with a host whose certificate is for another name, or of another authority")
    func strangers() async throws {
        // The one that accepts knows no such peer.
        await Self.expectUnverified(try Self.credentials("c.example"), try Self.credentials("b.example"))
        // The one that connects wants another.
        await Self.expectUnverified(try Self.credentials("a.example"), try Self.credentials("c.example"))
        await Self.expectUnverified(
            try Self.credentials("a.example", Self.stranger), try Self.credentials("b.example"))
        await Self.expectUnverified(
            try Self.credentials("a.example"), try Self.credentials("b.example", Self.stranger))
    }

    @Test("is not made with a client that shows no certificate, nor with one that speaks another protocol")
    func stockClients() async throws {
        let files = try TemporaryFiles()
        let issued = try Self.authority.issue(for: ["a.example"])
        let certificate = try files.write(issued.certificatePEM, "a.pem")
        let key = try files.write(issued.privateKeyPEM, "a.key")
        for options in [["-alpn", "baton-hosts"], ["-cert", certificate, "-key", key, "-alpn", "h2"]] {
            let listener = try Listener()
            let credentials = try Self.credentials("b.example")
            let accepting = start { _ = try HostLink(accepting: listener.accept(), credentials) }
            let client = try PeerProcess(["openssl", "s_client", "-connect", "127.0.0.1:\(listener.port)"] + options)
            await #expect(throws: MigrationError.self) { try await accepting.value }
            try client.expect(nil)
        }
    }

    @Test("refuses a message that is too long to send, and ends with one that is too long to take")
    func limits() async throws {
        let (near, far) = try await Self.links(nearLimit: 2_000, farLimit: 1_000)
        let message = [UInt8](repeating: 1, count: 2_001)
        #expect(throws: MigrationError(.outOfRoom, "a message of 2001 bytes")) { try near.send(message.span.bytes) }
        try near.send(message.span.bytes.extracting(first: 1_000))
        #expect(try Self.receive(far).count == 1_000)
        try near.send(message.span.bytes.extracting(first: 1_001))
        #expect(throws: MigrationError(.malformed, "a message of 1001 bytes")) {
            _ = try far.receive(within: .seconds(60))
        }
        // Nobody knows where the next message begins.
        #expect(throws: MigrationError(.malformed, "a message of 1001 bytes")) { _ = try far.receive(within: .zero) }
        #expect(far.failure?.code == .malformed)
    }

    @Test("is of no use when an answer was not waited for: it could be taken for the next one")
    func silence() async throws {
        let (near, far) = try await Self.links()
        #expect(throws: MigrationError(.timedOut)) { _ = try near.receive(within: .milliseconds(1)) }
        try far.send(Self.word.span.bytes)
        #expect(throws: MigrationError(.timedOut)) { _ = try near.receive(within: .seconds(60)) }
    }

    @Test("tells of its end behind the last message")
    func end() async throws {
        let near = try await Self.speak()
        #expect(try Self.receive(near) == [7])
        #expect(throws: MigrationError.self) { _ = try near.receive(within: .seconds(60)) }
        #expect(near.failure?.code == .linkEnded)
    }

    // MARK: Parts

    private static let word: [UInt8] = [7]

    /// A and B, connected.
    private static func links(
        nearLimit: Int = HostLink.longestMessage, farLimit: Int = HostLink.longestMessage
    ) async throws -> (HostLink, HostLink) {
        let (a, b) = (try credentials("a.example"), try credentials("b.example"))
        let listener = try Listener()
        let port = listener.port
        let accepting = start {
            try HostLink(accepting: listener.accept(), b, limit: farLimit, patience: .seconds(60))
        }
        let near = try await start {
            try HostLink(
                connectingTo: "127.0.0.1", port: port, as: "b.example", a, limit: nearLimit, patience: .seconds(60))
        }.value
        return (near, try await accepting.value)
    }

    private static func receive(_ link: HostLink) throws -> [UInt8] {
        try link.receive(within: .seconds(60)).withUnsafeBytes { Array($0) }
    }

    /// A link whose other end has said something and gone.
    private static func speak() async throws -> HostLink {
        let (near, far) = try await links()
        try far.send(Self.word.span.bytes)
        return near
    }

    private static func expectUnverified(_ a: HostCredentials, _ b: HostCredentials) async {
        await #expect(throws: MigrationError.self) {
            let listener = try Listener()
            let port = listener.port
            let accepting = start { try HostLink(accepting: listener.accept(), b, patience: .seconds(60)) }
            let near = try await start {
                try HostLink(connectingTo: "127.0.0.1", port: port, as: "b.example", a, patience: .seconds(60))
            }.value
            let far = try await accepting.value
            // TLS 1.3: a client is done before its certificate has been looked at.
            _ = try near.receive(within: .seconds(60))
            _ = far
        }
    }

    private static func credentials(
        _ name: String, _ authority: CertificateAuthority = authority
    ) throws -> HostCredentials {
        let issued = try authority.issue(for: [name])
        return try HostCredentials(
            identity: .init(certificateChain: .text(issued.certificatePEM), privateKey: .text(issued.privateKeyPEM)),
            authorities: .text(Self.authority.certificatePEM), peers: ["a.example", "b.example"])
    }
}

/// Runs what blocks on a thread of its own.
private func start<R: Sendable>(_ body: @escaping @Sendable () throws -> R) -> Task<R, any Error> {
    Task {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
        }
    }
}

/// A listening socket on loopback.
private final class Listener: Sendable {
    private let descriptor: Int32
    let port: UInt16

    init() throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        port = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                _ = bind(descriptor, raw, length)
                listen(descriptor, 4)
                getsockname(descriptor, raw, &length)
            }
            return UInt16(bigEndian: pointer.pointee.sin_port)
        }
    }

    deinit { close(descriptor) }

    func accept() -> Int32 { Glibc.accept(descriptor, nil, nil) }
}
