import Foundation
import StockPeers

/// A real PostgreSQL without TLS, which lets everybody in.
final class PostgresServer {
    private let files: TemporaryFiles
    private let process: PeerProcess
    let port: Int

    init() throws {
        files = try TemporaryFiles()
        port = Int(try Wire.freePort())
        let folder = "/usr/lib/postgresql/15/bin/"
        // It refuses to run as root.
        let isRoot = geteuid() == 0
        let user = isRoot ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] : []
        if isRoot {
            try FileManager.default.setAttributes(
                [.ownerAccountName: "postgres"], ofItemAtPath: String(files.path("").dropLast()))
        }
        let data = files.path("data")
        let making = try PeerProcess(
            user + [folder + "initdb", "-D", data, "-A", "trust", "-N", "-U", "postgres", "--no-locale"])
        try making.expect(nil)
        process = try PeerProcess(
            user + [folder + "postgres", "-D", data, "-p", "\(port)", "-c", "listen_addresses=127.0.0.1", "-k", ""])
        try process.expect("ready to accept connections")
    }

    deinit {
        // Its children end at once.
        kill(process.processID, SIGQUIT)
        try? process.expect(nil)
    }
}
