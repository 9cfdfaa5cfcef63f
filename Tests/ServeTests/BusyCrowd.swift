import Foundation
import StockPeers

/// Many connections at once (Python's asyncio and ssl) through a server to an upstream of its own, both sides of all of which
/// send and check what comes. A byte that is lost, comes twice or out of order, a reset and an early end are told.
final class BusyCrowd {
    /// How the upstream is reached.
    enum Upstream: String, CaseIterable, Sendable {
        case plain, tls, unix
        /// Both sides speak TLS 1.2 only.
        case tls12
        /// There is none: the server sends back what comes.
        case echo
    }

    private let process: PeerProcess
    private let count: Int
    private let kind: Upstream
    private var passes = 0
    private var ticks = 0
    /// As the configuration writes it.
    private let upstream: String
    /// The upstream's; 0: it has none.
    let port: Int

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
        port = try process.number(behind: "UPSTREAM ")
        upstream = kind == .unix ? "unix:\(path)" : "127.0.0.1:\(port)"
    }

    /// Connects all, has them speak, and waits until each has exchanged something.
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

    /// Waits for a second, which the crowd counts.
    func tick() throws {
        ticks += 1
        try process.send("tick \(ticks)\n")
        try process.expect("TICK \(ticks)\n")
    }

    /// Both sides of all end, and have had all that the other one sent.
    func end() throws {
        try process.send("end\n")
        try process.expect("WHOLE ")
        try process.expect("WHOLE \(count) of \(count)\n")
        try process.expect("LONGEST ")
    }

    /// What all have received in all.
    var bytes: Int { (try? process.number(behind: "BYTES ")) ?? 0 }

    /// How long the longest wait for a byte was, and what else it has said last.
    var lastLine: String { process.text.split(separator: "\n").last.map(String.init) ?? "" }

    /// A server in front of the upstream, to which all have connected and in which each has exchanged something.
    func serve(
        _ flags: [String] = [], workers: Int? = 2, program: [String]? = nil, in files: TemporaryFiles
    ) throws -> Server {
        let server = try Server(
            ["--config", try configuration(in: files), "--limits.handshake-time", "5m"] + flags, workers: workers,
            program: program)
        try connect(port: server.port)
        return server
    }

    /// A configuration with this upstream.
    ///
    /// - Parameter port: where it is reached, if not at its own port.
    func configuration(in files: TemporaryFiles, port: Int? = nil) throws -> String {
        try Self.configuration(of: ["default": self], port: port, in: files)
    }

    /// A server in front of several crowds, each with a listener of its own, to which all have connected.
    static func serve(_ crowds: [BusyCrowd], _ flags: [String], in files: TemporaryFiles) throws -> Server {
        let named = Dictionary(uniqueKeysWithValues: crowds.map { ($0.kind.rawValue, $0) })
        let server = try Server(
            ["--config", try configuration(of: named, in: files), "--limits.handshake-time", "5m"] + flags, workers: 2)
        for (name, crowd) in named { try crowd.connect(port: try server.port(name)) }
        return server
    }

    /// - Parameter port: where upstreams are reached, if not at their own ports.
    private static func configuration(
        of crowds: [String: BusyCrowd], port: Int? = nil, in files: TemporaryFiles
    ) throws -> String {
        var (listeners, upstreams, routes) = ("listeners:\n", "", "routes:\n")
        for (name, crowd) in crowds {
            listeners += "  \(name): {address: \"127.0.0.1:0\"}\n"
            routes += "  \(name): {listeners: [\(name)], target: \(crowd.kind == .echo ? "echo" : "crowd-\(name)")}\n"
            guard crowd.kind != .echo else { continue }
            let address = port.map { "127.0.0.1:\($0)" } ?? crowd.upstream
            upstreams += "  crowd-\(name): {addresses: [\"\(address)\"], tls: \(crowd.isTLS), tls-verify: false}\n"
        }
        return try files.write(listeners + (upstreams.isEmpty ? "" : "upstreams:\n\(upstreams)") + routes, "crowd.yaml")
    }

    private var isTLS: Bool { kind == .tls || kind == .tls12 }

    private static let program =
        URL(filePath: #filePath).deletingLastPathComponent().path() + "../../scripts/busy_crowd.py"
}
