import Foundation
import StockPeers

/// A worker in another language, which `baton serve` hands connections to.
enum WorkerLanguage: String, CaseIterable {
    case python, node

    /// Starts one, and waits until it takes connections.
    ///
    /// - Parameters:
    ///   - path: where it takes them.
    ///   - other: where it hands them on when it ends.
    ///   - descriptors: how many it may have.
    func start(
        at path: String, other: String, descriptors: Int? = nil, in files: TemporaryFiles
    ) throws -> PeerProcess {
        let limited = descriptors.map { ["bash", "-c", "ulimit -n \($0); exec \"$@\"", "_"] } ?? []
        let worker = try PeerProcess(unmasked + limited + (try command(in: files)) + [path, other])
        try worker.expect("waits for connections at \(path)\n")
        return worker
    }

    /// What starts one, without the paths.
    func command(in files: TemporaryFiles) throws -> [String] {
        switch self {
        case .python:
            ["env", "BATON_LIBRARY=\(try BuiltProgram.path("libBatonC.so"))", "PYTHONDONTWRITEBYTECODE=1"]
                + ["python3", CProgram.path("Examples/Python/worker.py")]
        case .node:
            ["env", "BATON_ADDON=\(try Self.addon(in: files))", "node", CProgram.path("Examples/Node/worker.js")]
        }
    }

    /// The addon, built as its users build it. Node's headers lie beside it, or, with Debian's own, where Debian's do.
    private static func addon(in files: TemporaryFiles) throws -> String {
        let addon = files.path("baton.node")
        guard !FileManager.default.fileExists(atPath: addon) else { return addon }
        let question = "require('path').join(process.execPath, '../../include/node')"
        let headers = try PeerProcess(["node", "-p", question])
        try headers.expect(nil)
        let include = String(headers.text.prefix { $0 != "\n" })
        return try CProgram.build(
            "Examples/Node/baton.c", to: addon, in: files, ["-shared", "-fPIC", "-I\(include)"])
    }

    /// A signal that the test's thread blocks would be blocked in what it starts.
    private var unmasked: [String] {
        [
            "python3", "-c",
            "import os, signal, sys; signal.pthread_sigmask(signal.SIG_SETMASK, []); os.execvp(sys.argv[1], sys.argv[1:])",
        ]
    }
}

/// `baton serve` with a route to a program at `/program`, and its own page elsewhere.
final class WorkerServer {
    let port: Int
    private let process: PeerProcess

    init(programAt path: String, in files: TemporaryFiles) throws {
        let configuration = """
            control: \(files.path("control"))
            workers: 1
            listeners: { web: { address: "127.0.0.1:0", alpn: [http/1.1] } }
            routes:
              program: { path: /program, target: "worker:\(path)" }
              page: { target: hello }

            """
        process = try PeerProcess(
            [try BuiltProgram.path("baton"), "serve", "--config", try files.write(configuration, "serve.yaml")])
        port = try process.number(behind: "address=127.0.0.1:")
        try process.expect("] serving")
    }

    deinit {
        // Twice: what is left is closed at once.
        for _ in 0..<2 { kill(process.processID, SIGTERM) }
        try? process.expect(nil)
    }
}
