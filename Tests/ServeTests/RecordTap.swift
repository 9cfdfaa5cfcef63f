import Foundation
import StockPeers

/// A proxy that reads the explicit nonces of the TLS 1.2 records that pass between a client and a server.
final class RecordTap {
    private let process: PeerProcess
    let port: Int

    init(to target: Int? = nil) throws {
        let program = URL(filePath: #filePath).deletingLastPathComponent().path() + "../../scripts/record_tap.py"
        process = try PeerProcess(["python3", program])
        port = try process.number(behind: "TAP ")
        if let target { try lead(to: target) }
    }

    /// To which port of this machine it connects.
    func lead(to target: Int) throws {
        try process.send("target \(target)\n")
        // Who connects before that is reset.
        try process.expect("TARGET \(target)\n")
    }

    /// How many sealed records have passed, and of which of them the nonce had come before or was not the next.
    func report() throws -> (records: Int, text: String) {
        try process.send("count\n")
        try process.expect("COUNTED")
        return (try process.number(behind: "RECORDS "), process.text)
    }
}
