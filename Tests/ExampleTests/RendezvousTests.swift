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
            #expect(try mostResident(front) < total / 2)
        }
        try downloader.send("all\n")
        try uploader.send("flood 0\nanswer\n")
        try uploader.expect("ANSWER HTTP/1.1 200 OK ")
        try downloader.expect("RECEIVED ")
        let sent = try uploader.output(behind: "ANSWER HTTP/1.1 200 OK ", count: 64)
        #expect(try downloader.output(behind: "RECEIVED ", count: 64) == sent)
        for front in [a.process, b.process] {
            #expect(try mostResident(front) < total / 2)
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

    /// The most memory that a process has had at a time, in bytes.
    private func mostResident(_ process: PeerProcess) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(process.processID)/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") })
        let kilobytes = try #require(
            Int(line.split(separator: "\t")[1].trimmingCharacters(in: .letters.union(.whitespaces))))
        return kilobytes << 10
    }
}
