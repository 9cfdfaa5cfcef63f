import BatonConfiguration
import BatonServer
import Foundation
import StockPeers

/// One of several services that take over from each other: `baton serve --succeed`, in a PID and a mount namespace of its own if
/// that is asked for, as a container has. There is one directory that all see at the same path, and one that is its own.
final class Pod {
    /// What pods have in common: the directory in which the control socket is.
    struct Host {
        let files: TemporaryFiles
        /// Whether pods have namespaces.
        let isDivided: Bool

        init(isDivided: Bool = false) throws {
            files = try TemporaryFiles()
            self.isDivided = isDivided
            try FileManager.default.createDirectory(
                atPath: files.path("shared"), withIntermediateDirectories: false,
                attributes: [.posixPermissions: 0o700])
        }

        /// As it is seen from here.
        var control: String { files.path("shared") + "/c.sock" }

        fileprivate var controlInside: String { isDivided ? "/mnt/shared/c.sock" : control }

        func status() throws -> StatusReport { try ControlClient(path: control).status() }
    }

    private let files: TemporaryFiles
    private let process: PeerProcess
    private let host: Host

    /// - Parameters:
    ///   - arguments: beside `--succeed` and the workers.
    ///   - own: files of its own, by their names; `OWN/` in the arguments is the directory that has them.
    init(
        on host: Host, _ arguments: [String], own: [String: String] = [:], program: String? = nil,
        before: [String] = [], isFailure: Bool = false
    ) throws {
        self.host = host
        files = try TemporaryFiles()
        for (name, text) in own { _ = try files.write(text, name) }
        let folder = host.isDivided ? "/mnt/own/" : files.path("")
        var words = before
        if host.isDivided {
            words += [
                "unshare", "-pfm", "--mount-proc", "--kill-child", "sh", "-c", Self.mounts, "sh",
                host.files.path("shared"), files.path(""),
            ]
        }
        words += [try program ?? BuiltProgram.path("baton"), "serve", "--succeed", host.controlInside]
        if !arguments.contains("--config") { words += ["--workers", "2"] }
        process = try PeerProcess(words + arguments.map { $0.replacingOccurrences(of: "OWN/", with: folder) })
        if !isFailure { try process.expect("] serving") }
    }

    private static let mounts = """
        mount -t tmpfs none /mnt && mkdir /mnt/shared /mnt/own && mount --bind "$1" /mnt/shared &&
        mount --bind "$2" /mnt/own && shift 2 && exec "$@"
        """

    deinit {
        guard process.isRunning, let service = try? service else { return }
        // Its processes end with it, but for workers that have something.
        for child in (try? ProcessFacts.children(of: service)) ?? [] { kill(child, SIGKILL) }
        kill(service, SIGKILL)
    }

    /// The main process, as it is called outside.
    var service: Int32 {
        get throws {
            guard host.isDivided else { return process.processID }
            guard let first = try ProcessFacts.children(of: process.processID).first else {
                throw WireError("no process in the pod: \(process.text)")
            }
            return first
        }
    }

    /// One of its processes that was started as that command.
    func child(_ command: String) throws -> Int32 {
        var found: Int32?
        try ProcessFacts.wait {
            found = try ProcessFacts.children(of: try service).first { child in
                let words = (try? String(contentsOfFile: "/proc/\(child)/cmdline", encoding: .utf8)) ?? ""
                return words.contains(command)
            }
            return found != nil
        }
        return found ?? 0
    }

    /// Waits until its front has come to a step at which it stops.
    func stoppedFront() throws -> Int32 {
        let front = try child("serve-front")
        try ProcessFacts.wait {
            (try? String(contentsOfFile: "/proc/\(front)/stat", encoding: .utf8))?.contains(") T") == true
        }
        return front
    }

    func port(_ listener: String) throws -> Int {
        let line = process.text.split(whereSeparator: \.isNewline).first { $0.contains("listener=\(listener) ") }
        let digits = line?.split(separator: "address=127.0.0.1:").last?.prefix { $0.isNumber }
        guard let port = digits.flatMap({ Int($0) }) else { throw WireError("no \(listener): \(process.text)") }
        return port
    }

    func signal(_ number: Int32) throws { kill(try service, number) }
    func log(_ words: String) throws { try process.expect(words) }
    var logged: String { process.text }
    var isRunning: Bool { process.isRunning }

    /// Waits for its end, and returns its exit status.
    func end() throws -> Int32 {
        try process.expect(nil)
        return process.status
    }
}
