import SelfSigned
import StockPeers
import Testing

@Suite(.timeLimit(.minutes(2)))
struct ChatTests {
    @Test("rooms, names and half a line survive two upgrades of the process")
    func survives() throws {
        let files = try TemporaryFiles()
        let certificate = try files.write(Credentials.shared["p256"].certificatePEM, "cert.pem")
        let key = try files.write(Credentials.shared["p256"].privateKeyPEM, "key.pem")
        let command =
            ["stdbuf", "-oL", try BuiltProgram.path("Chat"), "--cert", certificate, "--key", key]
            + ["--control", files.path("control"), "--port", "0"]
        var chat = try PeerProcess(command)
        let port = try chat.number(behind: "listens at port ")
        let ada = try member(port, "Ada")
        let grace = try member(port, "Grace")
        try ada.send("first\n")
        try grace.expect("[tea] Ada: first")
        try ada.expect("[tea] Ada: first")
        for round in 1...2 {
            // Half a line is in the old process when the connections move; the new one gets the rest.
            try grace.send("half \(round)\nand ")
            try ada.expect("[tea] Grace: half \(round)")
            let successor = try PeerProcess(command)
            try successor.expect("took over 2 members")
            try chat.expect("has handed on 2 members and ends")
            try chat.expect(nil)
            chat = successor
            try grace.send("whole \(round)\n")
            try ada.expect("[tea] Grace: and whole \(round)")
            try ada.send("still here \(round)\n")
            try grace.expect("[tea] Ada: still here \(round)")
        }
        let newcomer = try member(port, "Joan")
        try newcomer.send("hello\n")
        try ada.expect("[tea] Joan: hello")
    }

    /// A member who has joined a room: the echo of her own line says so.
    private func member(_ port: Int, _ name: String) throws -> PeerProcess {
        let client = try PeerProcess(["openssl", "s_client", "-connect", "127.0.0.1:\(port)", "-quiet", "-nocommands"])
        try client.send("/name \(name)\n/join tea\n\(name) is here\n")
        try client.expect("[tea] \(name): \(name) is here")
        return client
    }
}
