import BatonConfiguration
import BatonServer
import Foundation
import HostLab
import SelfSigned
import StockPeers

/// A host of the lab that runs `baton serve`. TLS is served at port 4443, and plain TCP at 4444.
final class Host {
    /// What may differ from host to host.
    struct Options {
        /// The service addresses that may move.
        var addresses = ["192.0.2.100", "2001:db8::100", "198.51.100.100", "2001:db8:1::100"]
        /// The name in its certificate.
        var name: String?
        /// The name that the other host's certificate must have.
        var peerName: String?
        /// Who has signed its certificate.
        var authority = HostCredentials.authority
        /// Connections go there; nil: the built-in echo.
        var upstream: String?
        /// More settings of the upstream.
        var upstreamSettings: [String] = []
        /// Where its migration process listens, without the port; nil: the IPv4 address on the link.
        var listen: String?
        /// Where it is to find the other host; nil: where that listens by default.
        var peerAddress: String?
        /// Whom the server becomes.
        var user: String?
        /// More lines of `migration`.
        var migration = ""
    }

    let role: Lab.Role
    let other: Lab.Role
    let control: String
    let configurationFile: String
    private let files: TemporaryFiles
    private let process: PeerProcess

    init(_ role: Lab.Role, _ options: Options = Options()) throws {
        self.role = role
        other = role == .a ? .b : .a
        files = try TemporaryFiles()
        control = files.path("control/c.sock")
        let addresses = options.addresses.map { "\"\($0)\"" }.joined(separator: ", ")
        let route =
            options.upstream.map {
                """
                upstreams:
                  backend:
                    addresses: \($0)
                    source-addresses: [198.51.100.100, "2001:db8:1::100"]
                \(options.upstreamSettings.map { "    \($0)\n" }.joined())
                """
            } ?? ""
        let configuration = """
            control: \(control)
            \(options.user.map { "user: \($0)\n" } ?? "")workers: 2
            listeners:
              tls:
                address: :4443
              plain:
                address: :4444
                tls: false
            routes:
              all:
                target: \(options.upstream == nil ? "echo" : "backend")
            \(route)migration:
              listen: "\(options.listen ?? Host.link(role)):9440"
              interface: [e0, e1]
              addresses: [\(addresses)]
            \(try HostCredentials.settings(options.name ?? Host.name(role), in: files, authority: options.authority))\
            \(options.migration)peers:
              other:
                address: "\(options.peerAddress ?? "\(Host.link(other)):9440")"
                name: \(options.peerName ?? Host.name(other))
            """
        configurationFile = try files.write(configuration, "baton.yaml")
        var program = try BuiltProgram.path("baton")
        if let user = options.user {
            // An upgrade starts the program as the user, who reads the keys, too.
            try FileManager.default.copyItem(atPath: program, toPath: files.path("baton"))
            program = files.path("baton")
            let give = try PeerProcess(["chown", "-R", user, files.path("")])
            try give.expect(nil)
        }
        process = try PeerProcess(Host.inside(role) + [program, "serve", "--config", configurationFile])
        try process.expect("] serving")
    }

    deinit { try? Host.clear(role) }

    /// Its own IPv4 address on the link.
    static func link(_ role: Lab.Role) -> String { role == .a ? "192.0.2.2" : "192.0.2.3" }

    static func name(_ role: Lab.Role) -> String { "\(role.rawValue).example" }

    /// How a program is started in a namespace.
    static func inside(_ role: Lab.Role) -> [String] {
        ["ip", "netns", "exec", "\(Lab.draining.prefix)\(role.rawValue)"]
    }

    func status() throws -> StatusReport { try ControlClient(path: control).status() }

    /// Asks until the answer is right, at most 60 s.
    @discardableResult
    func waitUntil(_ isRight: (StatusReport) -> Bool) throws -> StatusReport {
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            let report = try status()
            if isRight(report) { return report }
            guard ContinuousClock.now < deadline else { throw WireError("the host is still at \(report.table)") }
            sched_yield()
        }
    }

    /// `baton upgrade` to its end. Its one line of failure is thrown.
    @discardableResult
    func upgrade() throws -> UpgradeReport { try ControlClient(path: control).upgrade(binary: nil) { _ in } }

    /// `baton drain --json`, started.
    func startDrain(_ arguments: [String] = []) throws -> PeerProcess {
        try PeerProcess(
            [try BuiltProgram.path("baton"), "drain", "--control", control, "--to", "other", "--json"] + arguments)
    }

    /// `baton drain --json` to its end. What it prints instead of a report is thrown.
    func drain(_ arguments: [String] = []) throws -> DrainReport {
        try Host.report(of: try startDrain(arguments))
    }

    /// `baton drain --json` as soon as this host and its peer are ready: processes that were killed are started anew a
    /// moment later, and a peer may have to notice first that the link before has ended.
    func drainOnceTaken() throws -> DrainReport {
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            do {
                return try drain()
            } catch {
                guard ContinuousClock.now < deadline else { throw error }
            }
        }
    }

    static func report(of drain: PeerProcess) throws -> DrainReport {
        try drain.expect(nil)
        guard let line = drain.text.split(separator: "\n").first(where: { $0.hasPrefix("{") }) else {
            throw WireError(drain.text)
        }
        return try JSONDecoder().decode(DrainReport.self, from: Data(line.utf8))
    }

    /// What it has logged so far contains the words, or will.
    func log(_ words: String) throws { try process.expect(words) }

    /// The process ids of this server's processes of a kind: `serve-network`, `serve-migration`.
    func processes(_ kind: String) throws -> [Int32] {
        try Host.processes(in: role).filter { pid in
            (try? String(contentsOfFile: "/proc/\(pid)/cmdline", encoding: .utf8))?.contains("\0\(kind)\0") ?? false
        }
    }

    /// Waits until no process with this argument is in the namespace, at most 60 s.
    func awaitEnd(of argument: String) throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while try !processes(argument).isEmpty {
            guard ContinuousClock.now < deadline else { throw WireError("\(argument) does not end") }
        }
    }

    private static func processes(in role: Lab.Role) throws -> [Int32] {
        let list = try PeerProcess(["ip", "netns", "pids", "\(Lab.draining.prefix)\(role.rawValue)"])
        try list.expect(nil)
        return list.text.split(whereSeparator: \.isWhitespace).compactMap { Int32($0) }
    }

    /// Ends whatever runs in the namespace, and waits until it has gone: the next server wants the hold device.
    static func clear(_ role: Lab.Role) throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            let left = try processes(in: role)
            if left.isEmpty { return }
            guard ContinuousClock.now < deadline else { throw WireError("\(left) do not end") }
            for pid in left { kill(pid, SIGKILL) }
        }
    }
}
