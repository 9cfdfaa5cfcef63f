import BatonServer
import Foundation
import StockPeers
import Testing

/// AES-GCM breaks if a nonce protects two records under one key. In TLS 1.2 the nonces can be read on the wire. In TLS 1.3
/// each is a count that the peer keeps as well, so a record under another than the next does not open: that is what
/// `WorkerDeathTests` sees.
@Suite("Nonces on the wire", .serialized, .timeLimit(.minutes(10)))
struct NonceTests {
    @Test("each comes once under its key, and the next after the one before, through fifty owners that are killed")
    func unique() throws {
        let files = try TemporaryFiles()
        let crowd = try BusyCrowd(.tls12, count: 40, rate: 20, files: files)
        let upstream = try RecordTap(to: crowd.port)
        let server = try Server(
            [
                "--config", try crowd.configuration(in: files, port: upstream.port), "--limits.handshake-time", "5m",
            ])
        let client = try RecordTap(to: server.port)
        try crowd.connect(port: client.port)
        for death in 1...50 {
            try server.killWorker()
            if death.isMultiple(of: 10) { try crowd.pass() }
        }
        try crowd.end()
        for tap in [client, upstream] {
            let (records, text) = try tap.report()
            #expect(text.contains("RECORDS \(records), 0 repeated, 0 out of step"), "\(text)")
            #expect(records > 40 * 4)
            print("\(records) records, each nonce once and in step")
        }
    }
}
