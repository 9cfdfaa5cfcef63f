import Foundation
import StockPeers
import Testing

@Suite(.timeLimit(.minutes(4)))
struct RendezvousTests {
    private let peers = try! RendezvousPeers()

    @Test("who upload and download at different fronts meet, whichever front owns the token", arguments: [false, true])
    func meets(isChunked: Bool) throws {
        let (a, b) = (try peers.front("a"), try peers.front("b"))
        let path = try peers.files.write(String(repeating: "What one sends the other gets. ", count: 60_000), "sent")
        for token in ["first", "second", "third", "fourth", "fifth", "sixth"] {
            let watcher = try peers.watcher(b.port, token)
            try watcher.expect(#"{"downloader":false,"event":"state","uploader":false}"#)
            let upload = try peers.curl(
                ["-T", path, "https://127.0.0.1:\(a.port)/\(token)"]
                    + (isChunked ? ["-H", "Transfer-Encoding: chunked"] : []))
            try watcher.expect(#"{"event":"came","side":"uploader"}"#)
            let copy = peers.files.path("\(token).received")
            let download = try peers.curl(["https://127.0.0.1:\(b.port)/\(token)", "-o", copy])
            try download.expect(nil)
            #expect(download.status == 0, "\(download.text)")
            try upload.expect("1860000 bytes are at the other side")
            try watcher.expect(#"{"event":"met"}"#)
            try watcher.expect(#""event":"progress""#)
            try watcher.expect(#"{"bytes":1860000,"event":"done"}"#)
            #expect(try Data(contentsOf: URL(filePath: copy)) == Data(contentsOf: URL(filePath: path)))
        }
    }

    @Test("a transfer and who watches it live through deploys of both fronts", arguments: ["first", "third"])
    func livesThroughDeploys(token: String) throws {
        var (a, b) = (try peers.front("a"), try peers.front("b"))
        let watcher = try peers.watcher(a.port, token)
        try watcher.expect(#""event":"state""#)
        let uploader = try peers.uploader(a.port, token, total: 700_000)
        try uploader.expect("UPLOADER")
        // Also one that waits is deployed, before anybody has come.
        try watcher.expect(#"{"event":"came","side":"uploader"}"#)
        a.process = try peers.deploy("a", replacing: a.process)
        b.process = try peers.deploy("b", replacing: b.process)
        let downloader = try peers.downloader(b.port, token)
        try downloader.send("head\n")
        try downloader.expect("LENGTH 700000")
        for round in 1...3 {
            try uploader.send("send 200000\n")
            try uploader.expect("SENT \(round * 200_000)\n")
            a.process = try peers.deploy("a", replacing: a.process)
            b.process = try peers.deploy("b", replacing: b.process)
        }
        try uploader.send("send 100000\nanswer\n")
        try downloader.send("all\n")
        try uploader.expect("ANSWER HTTP/1.1 200 OK ")
        try downloader.expect("RECEIVED ")
        let sent = try uploader.output(behind: "ANSWER HTTP/1.1 200 OK ", count: 64)
        #expect(try downloader.output(behind: "RECEIVED ", count: 64) == sent)
        try watcher.expect(#"{"bytes":700000,"event":"done"}"#)
    }

    @Test("whoever comes during deploys of both fronts meets whom it wants to meet")
    func comesDuringDeploys() throws {
        var (a, b) = (try peers.front("a"), try peers.front("b"))
        let content = String(repeating: "What comes during a deploy comes whole. ", count: 5_000)
        let path = try peers.files.write(content, "sent")
        for round in 1...3 {
            let tokens = (1...8).map { "round\(round)-\($0)" }
            let uploads = try tokens.map { try peers.curl(["-T", path, "https://127.0.0.1:\(a.port)/\($0)"]) }
            a.process = try peers.deploy("a", replacing: a.process)
            let downloads = try tokens.map { token in
                try peers.curl(["https://127.0.0.1:\(b.port)/\(token)", "-o", peers.files.path(token)])
            }
            b.process = try peers.deploy("b", replacing: b.process)
            for upload in uploads { try upload.expect("are at the other side") }
            for (token, download) in zip(tokens, downloads) {
                try download.expect(nil)
                #expect(download.status == 0, "\(download.text)")
                #expect(try String(contentsOfFile: peers.files.path(token), encoding: .utf8) == content)
            }
        }
    }

    @Test("an uploader that dies resets the download, and who watches is told")
    func deadUploader() throws {
        let (a, b) = (try peers.front("a"), try peers.front("b"))
        let watcher = try peers.watcher(b.port, "token")
        try watcher.expect(#""event":"state""#)
        let uploader = try peers.uploader(a.port, "token", total: 1_000_000)
        let download = try peers.curl(["https://127.0.0.1:\(b.port)/token", "-o", peers.files.path("part")])
        try uploader.send("send 300000\n")
        try uploader.expect("SENT 300000")
        try watcher.expect(#"{"event":"met"}"#)
        kill(uploader.processID, SIGKILL)
        try watcher.expect(#"{"event":"failed","why":"the uploader has gone"}"#)
        try download.expect(nil)
        #expect(download.status != 0, "curl took a part for the whole")
        // The token is free again.
        let text = try peers.files.write("What it was about.", "text")
        let second = try peers.curl(["-T", text, "https://127.0.0.1:\(a.port)/token"])
        try peers.curl(["https://127.0.0.1:\(b.port)/token"]).expect("What it was about.")
        try second.expect("are at the other side")
    }

    @Test("a downloader that dies is told to the uploader; one that waits and dies, to who watches")
    func deadDownloader() throws {
        let (a, b) = (try peers.front("a"), try peers.front("b"))
        let watcher = try peers.watcher(a.port, "token")
        try watcher.expect(#""event":"state""#)
        let early = try peers.downloader(b.port, "token")
        try watcher.expect(#"{"event":"came","side":"downloader"}"#)
        kill(early.processID, SIGKILL)
        try watcher.expect(#"{"event":"left","side":"downloader"}"#)
        let uploader = try peers.uploader(a.port, "token", total: 1_000_000)
        let downloader = try peers.downloader(b.port, "token")
        try uploader.send("send 300000\n")
        try downloader.send("head\n")
        try downloader.expect("LENGTH 1000000")
        kill(downloader.processID, SIGKILL)
        try uploader.send("answer\n")
        try uploader.expect("ANSWER HTTP/1.1 410 Gone")
        try watcher.expect(#"{"event":"failed","why":"the downloader has gone"}"#)
    }

    @Test("a slow reader slows the uploader down, and the fronts keep no more than their buffers")
    func boundedMemory() throws {
        let total = 192 << 20
        let (a, b) = (try peers.front("a"), try peers.front("b"))
        let uploader = try peers.uploader(a.port, "token", total: total)
        let downloader = try peers.downloader(b.port, "token")
        try downloader.send("head\n")
        try downloader.expect("LENGTH \(total)")
        try uploader.send("flood 3\n")
        let blocked = try uploader.number(behind: "BLOCKED AFTER ")
        #expect(blocked < total / 2)
        for front in [a.process, b.process] {
            #expect(try maxResident(front) < total / 2)
        }
        try downloader.send("all\n")
        try uploader.send("flood 0\nanswer\n")
        try uploader.expect("ANSWER HTTP/1.1 200 OK ")
        try downloader.expect("RECEIVED ")
        let sent = try uploader.output(behind: "ANSWER HTTP/1.1 200 OK ", count: 64)
        #expect(try downloader.output(behind: "RECEIVED ", count: 64) == sent)
        for front in [a.process, b.process] {
            #expect(try maxResident(front) < total / 2)
        }
    }

    @Test("what cannot be served is answered with what to do")
    func refuses() throws {
        let (a, b) = (try peers.front("a"), try peers.front("b"))
        func answer(_ arguments: [String]) throws -> String {
            let curl = try peers.curl(["-w", " status %{http_code}\n"] + arguments)
            try curl.expect(nil)
            return curl.text
        }
        #expect(try answer(["https://127.0.0.1:\(a.port)/"]).contains("use PUT /TOKEN"))
        #expect(try answer(["https://127.0.0.1:\(a.port)/a/b"]).contains("status 404"))
        #expect(try answer(["-X", "POST", "https://127.0.0.1:\(a.port)/token"]).contains("status 405"))
        #expect(try answer(["https://127.0.0.1:\(b.port)/token/events"]).contains("told by WebSocket"))
        let watcher = try peers.watcher(a.port, "token")
        try watcher.expect(#""event":"state""#)
        let first = try peers.downloader(a.port, "token")
        try watcher.expect(#""event":"came""#)
        #expect(try answer(["https://127.0.0.1:\(b.port)/token"]).contains("this token is in use\n status 409"))
        #expect(first.isRunning)
    }

    @Test("a front whose neighbour does not live says so to the neighbour's client, and serves its own")
    func missingNeighbour() throws {
        let a = try peers.front("a")
        let text = try peers.files.write("What it was about.", "text")
        // By the rule the token `third` is b's, and `first` is a's.
        let astray = try peers.curl(["-w", "%{http_code}\n", "https://127.0.0.1:\(a.port)/third"])
        let upload = try peers.curl(["-T", text, "https://127.0.0.1:\(a.port)/first"])
        try peers.curl(["https://127.0.0.1:\(a.port)/first"]).expect("What it was about.")
        try upload.expect("are at the other side")
        try astray.expect("the front that owns this token does not answer; try again\n503")
    }

    @Test("a request that becomes no WebSocket is answered, and keeps no token")
    func failedUpgrades() throws {
        // By the rule all tokens of this test are a's.
        let a = try peers.front("a", tokens: 1)
        let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        let fields =
            "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\(key)"
        for (token, field) in [
            ("first", key), ("second", "Content-Length: 9"), ("fourth", "Transfer-Encoding: chunked"),
            ("fifth", "A b: c"),
        ] {
            let client = try peers.client(
                a.port, sending: "GET /\(token)/events HTTP/1.1\r\n\(fields)\r\n\(field)\r\n\r\n")
            try client.expect("ANSWER HTTP/1.1 400 Bad Request")
        }
        let watcher = try peers.watcher(a.port, "first")
        try watcher.expect(#""event":"state""#)
        // There is no room for a second token.
        try peers.curl(["https://127.0.0.1:\(a.port)/second"]).expect("too many tokens are in use; try again later")
        try peers.watcher(a.port, "second").expect("1013")
    }

    @Test("half a minute after its transfer a token is free, whoever has come with it meanwhile")
    func forgets() throws {
        let a = try peers.front("a", tokens: 1)
        let text = try peers.files.write("What it was about.", "text")
        let upload = try peers.curl(["-T", text, "https://127.0.0.1:\(a.port)/first"])
        try peers.curl(["https://127.0.0.1:\(a.port)/first"]).expect("What it was about.")
        try upload.expect("are at the other side")
        let watcher = try peers.watcher(a.port, "first")
        try watcher.expect(#""event":"state""#)
        let downloader = try peers.downloader(a.port, "first")
        try watcher.expect(#"{"event":"came","side":"downloader"}"#)
        kill(downloader.processID, SIGKILL)
        try watcher.expect(#"{"event":"left","side":"downloader"}"#)
        kill(watcher.processID, SIGKILL)
        let again = ["--retry", "100", "--retry-delay", "1", "https://127.0.0.1:\(a.port)/second"]
        let other = try peers.curl(["-T", text] + again)
        try peers.curl(again).expect("What it was about.")
        try other.expect("are at the other side")
    }

    @Test("an uploader that waits gives way to a newer one; progress is told of each transfer")
    func newerUploader() throws {
        let a = try peers.front("a")
        let path = try peers.files.write(String(repeating: "What one sends the other gets. ", count: 60_000), "sent")
        let watcher = try peers.watcher(a.port, "first")
        try watcher.expect(#""event":"state""#)
        let came = #"{"event":"came","side":"uploader"}"#
        let first = try peers.uploader(a.port, "first", total: 10)
        try watcher.expect(came, count: 1)
        let second = try peers.uploader(a.port, "first", total: 10)
        try watcher.expect(came, count: 2)
        try first.send("answer\n")
        try first.expect("ANSWER HTTP/1.1 409 Conflict")
        // Nothing is read of one that waits, so its end is not seen.
        kill(second.processID, SIGKILL)
        for round in 1...2 {
            let upload = try peers.curl(["-T", path, "https://127.0.0.1:\(a.port)/first"])
            try watcher.expect(came, count: 2 + round)
            let download = try peers.curl(
                ["https://127.0.0.1:\(a.port)/first", "-o", peers.files.path("received")])
            try upload.expect("1860000 bytes are at the other side")
            try download.expect(nil)
            #expect(download.status == 0)
            try watcher.expect(#""event":"progress""#, count: round)
            try watcher.expect(#"{"bytes":1860000,"event":"done"}"#, count: round)
        }
    }

    @Test("a transfer whose reader reads nothing lives through deploys when everything has been sent")
    func slowReader() throws {
        let a = try peers.front("a")
        var b = try peers.front("b")
        // By the rule the token is b's.
        let uploader = try peers.uploader(a.port, "third", total: 3_000_000)
        let downloader = try peers.downloader(a.port, "third")
        try downloader.send("head\n")
        try downloader.expect("LENGTH 3000000")
        try uploader.send("send 3000000\nanswer\n")
        for _ in 1...3 { b.process = try peers.deploy("b", replacing: b.process) }
        try downloader.send("all\n")
        try uploader.expect("ANSWER HTTP/1.1 200 OK ")
        let sent = try uploader.output(behind: "ANSWER HTTP/1.1 200 OK ", count: 64)
        #expect(try downloader.output(behind: "RECEIVED ", count: 64) == sent)
    }

    @Test("a front that is deployed while its neighbour stands still ends when what was on its way has been answered")
    func stoppedNeighbour() throws {
        var a = try peers.front("a")
        let b = try peers.front("b")
        kill(b.process.processID, SIGSTOP)
        let clients = try (1...3).map { _ in
            try peers.curl(["-v", "-w", "%{http_code}\n", "https://127.0.0.1:\(a.port)/third"])
        }
        for client in clients { try client.expect("> GET /third") }
        a.process = try peers.deploy("a", replacing: a.process)
        for client in clients {
            try client.expect("the front that owns this token does not answer; try again\n")
            try client.expect("503\n")
        }
    }

    @Test("a connection that cannot move holds up nobody who comes from another front")
    func stuckConnection() throws {
        let (a, b) = (try peers.front("a"), try peers.front("b"))
        let stuck = try peers.stuck(a.port)
        try stuck.expect("CONNECTED")
        let new = try peers.start("a")
        try new.expect("takes connections from other fronts")
        #expect(!new.text.contains("took over"), "the old process has not waited for the connection")
        let text = try peers.files.write("What it was about.", "text")
        let upload = try peers.curl(["-T", text, "https://127.0.0.1:\(b.port)/first"])
        try peers.curl(["https://127.0.0.1:\(b.port)/first"]).expect("What it was about.")
        try upload.expect("are at the other side")
        kill(stuck.processID, SIGKILL)
        try new.expect("took over")
        try a.process.expect("has handed on")
        try a.process.expect(nil)
        #expect(a.process.status == 0)
    }

    /// The most memory that a process has had at a time, in bytes.
    private func maxResident(_ process: PeerProcess) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(process.processID)/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
        let kilobytes = try #require(
            Int(line.split(separator: "\t")[1].trimmingCharacters(in: .letters.union(.whitespaces))))
        return kilobytes << 10
    }
}
