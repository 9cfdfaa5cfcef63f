import SelfSigned
import StockPeers
import Testing

@Suite(.timeLimit(.minutes(2)))
struct WorkerTests {
    @Test("the worker answers the first request, which the front has read, and the next one, on one connection")
    func answers() throws {
        let files = try TemporaryFiles()
        let path = files.path("handoff")
        let program = ["stdbuf", "-oL", try BuiltProgram.path("Worker")]
        let worker = try PeerProcess(program + ["worker", path])
        try worker.expect("waits for connections")
        let certificate = try files.write(Credentials.shared["p256"].certificatePEM, "cert.pem")
        let key = try files.write(Credentials.shared["p256"].privateKeyPEM, "key.pem")
        let front = try PeerProcess(program + ["front", path, certificate, key, "0"])
        let port = try front.number(behind: "listens at port ")
        let url = "https://127.0.0.1:\(port)"
        let curl = try PeerProcess(
            ["curl", "-sk", "--max-time", "60", "-w", "connects %{num_connects}\n", "\(url)/first", "\(url)/second"])
        try curl.expect(nil)
        #expect(curl.text.contains("process \(worker.processID) answers /first, request 1"), "\(curl.text)")
        #expect(curl.text.contains("process \(worker.processID) answers /second, request 2"), "\(curl.text)")
        #expect(curl.text.contains("connects 1") && curl.text.contains("connects 0"), "\(curl.text)")
    }
}
