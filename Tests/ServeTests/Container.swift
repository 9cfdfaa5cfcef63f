import BatonConfiguration
import Foundation
import StockPeers

/// A root file system in which `baton serve` is the first process of its own PID, mount and network namespaces.
final class Container {
    let root: String
    private let process: PeerProcess
    /// The keeper, as it is called outside.
    let first: Int32

    /// - Parameters:
    ///   - root: where its root file system is.
    ///   - user: of all its processes, as `chroot --userspec` takes it.
    ///   - command: the first process.
    init(_ root: String, user: String = "root", command: [String]) throws {
        self.root = root
        process = try PeerProcess(
            ["unshare", "-mnpf", "--kill-child", "--mount-proc=\(root)/proc", "sh", "-c", Self.start, root, user]
                + command)
        try process.expect("exec\n")
        guard let first = try ProcessFacts.children(of: process.processID).first else {
            throw WireError("it has no first process: \(process.text)")
        }
        self.first = first
        try process.expect("] serving")
    }

    /// Not by `--kill-child` alone: a process that changes its user is not told of its parent's end (PR_SET_PDEATHSIG).
    deinit { kill(first, SIGKILL) }

    /// ROOT is `$0`.
    private static let start = """
        ip link set lo up && mount --bind /dev "$0/dev" && user=$1 && shift && echo exec && exec chroot --userspec="$user" "$0" "$@"
        """

    /// What starts a program of this system in the container's network.
    var network: [String] { ["nsenter", "-t", "\(first)", "-n"] }

    /// Runs a program of the container in it, as its root; what that has printed.
    @discardableResult
    func run(_ arguments: [String]) throws -> String {
        try Shell.run(["nsenter", "-t", "\(first)", "-m", "-n", "-p", "-r", "-w"] + arguments)
    }

    func status() throws -> StatusReport {
        try JSONDecoder().decode(StatusReport.self, from: Data(run(["/usr/bin/baton", "status", "--json"]).utf8))
    }

    /// The answer of the built-in page.
    func page(_ port: Int) throws -> String {
        try Shell.run(network + ["curl", "-sk", "--max-time", "30", "https://127.0.0.1:\(port)/"])
    }

    /// Asks the first process to end, and waits for all of them; the exit status.
    func stop() throws -> Int32 {
        kill(first, SIGTERM)
        try process.expect(nil)
        return process.status
    }
}
