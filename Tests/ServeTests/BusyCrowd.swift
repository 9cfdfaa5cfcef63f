import Foundation
import StockPeers

/// Many connections at once (Python's asyncio and ssl) through a server to an upstream of its own, both sides of all of which
/// send and check what comes. A byte that is lost, comes twice or out of order, a reset and an early end are told.
final class BusyCrowd {
    /// How the upstream is reached.
    enum Upstream: String, CaseIterable, Sendable {
        case plain, tls, unix
    }

    private let process: PeerProcess
    private let count: Int
    private let kind: Upstream
    private var passes = 0
    /// As the configuration writes it.
    let upstream: String

    /// - Parameters:
    ///   - count: connections.
    ///   - rate: pieces of up to 16 KiB that each side of a connection sends in a second, at most.
    init(_ kind: Upstream = .plain, count: Int, rate: Int = 20, files: TemporaryFiles) throws {
        self.count = count
        self.kind = kind
        let credentials = try Credentials.shared.write("rsa", in: files)
        let path = files.path("crowd.sock")
        process = try PeerProcess(
            [
                "python3", Self.program, kind.rawValue, path, credentials.certificate, credentials.key, "\(count)",
                "\(rate)",
            ])
        upstream = kind == .unix ? "unix:\(path)" : "127.0.0.1:\(try process.number(behind: "UPSTREAM "))"
        if kind == .unix { try process.expect("UPSTREAM 0") }
    }

    /// Connects all and waits until each has exchanged something.
    func connect(port: Int) throws {
        try process.send("connect \(port)\n")
        try process.expect("BUSY \(count) of \(count)")
    }

    /// Waits until every connection has passed bytes both ways since it was asked.
    func pass() throws {
        passes += 1
        try process.send("pass \(passes)\n")
        try process.expect("PASSED \(passes)\n")
    }

    /// Both sides of all end, and have had all that the other one sent.
    func end() throws {
        try process.send("end\n")
        try process.expect("WHOLE ")
        try process.expect("WHOLE \(count) of \(count)\n")
        try process.expect("LONGEST ")
    }

    /// How long the longest wait for a byte was, and what else it has said last.
    var lastLine: String { process.text.split(separator: "\n").last.map(String.init) ?? "" }

    /// A configuration with this upstream.
    func configuration(in files: TemporaryFiles) throws -> String {
        try files.write(
            """
            listeners:
              default: {address: "127.0.0.1:0"}
            upstreams:
              crowd: {addresses: ["\(upstream)"], tls: \(kind == .tls), tls-verify: false}
            routes:
              all: {target: crowd}
            """, "crowd.yaml")
    }

    private static let program =
        URL(filePath: #filePath).deletingLastPathComponent().path() + "../../scripts/busy_crowd.py"
}
