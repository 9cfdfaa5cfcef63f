import BatonConfiguration
import Foundation
import StockPeers
import Testing

@testable import BatonServer

@Suite("Where the access log goes", .timeLimit(.minutes(2)))
struct AccessLogTests {
    private func configuration(_ target: AccessLogTarget) -> Configuration {
        var configuration = Configuration()
        configuration.accessLog = target
        return configuration
    }

    private func record(_ id: Int) -> AccessRecord {
        var record = AccessRecord()
        record.id = "\(id)"
        return record
    }

    private func lines(_ path: String) -> [String] {
        (try? String(contentsOfFile: path, encoding: .utf8))?.split(separator: "\n").map(String.init) ?? []
    }

    private func waitUntil(_ isSo: () -> Bool) {
        let deadline = ContinuousClock.now + .seconds(60)
        while !isSo(), ContinuousClock.now < deadline { sched_yield() }
        #expect(isSo())
    }

    @Test(
        "a file is appended to; one that was renamed is left for a new one, by itself; one that was cut goes on at its start"
    )
    func rotation() throws {
        let files = try TemporaryFiles()
        let path = files.path("access.log")
        try Data("before\n".utf8).write(to: URL(filePath: path))
        let log = AccessLog()
        log.use(configuration(.file(path)))
        log.write(record(1))
        waitUntil { lines(path).count == 2 }
        #expect(rename(path, path + ".1") == 0)
        var count = 1
        waitUntil {
            count += 1
            log.write(record(count))
            log.flush(within: .seconds(1))
            return !lines(path).isEmpty
        }
        // Each is in one of both.
        #expect(lines(path).count + lines(path + ".1").count == 1 + count && lines(path + ".1")[0] == "before")
        truncate(path, 0)
        log.write(record(0))
        waitUntil { lines(path).count == 1 }
        #expect(try Data(contentsOf: URL(filePath: path)).first == UInt8(ascii: "{") && log.droppedLines == 0)
    }

    @Test(
        "what cannot be written is counted, and nobody waits for it", arguments: ["/dev/full", "/nowhere/access.log"])
    func noRoom(path: String) throws {
        let log = AccessLog()
        log.use(configuration(.file(path)))
        for number in 0..<10 { log.write(record(number)) }
        waitUntil { log.droppedLines == 10 }
        // What follows goes elsewhere.
        let files = try TemporaryFiles()
        log.use(configuration(.file(files.path("b"))))
        log.write(record(11))
        waitUntil { lines(files.path("b")).count == 1 }
        #expect(log.droppedLines == 10)
    }

    @Test("the system's log gets a datagram for each line, as RFC 3164 has it, also when it has been started anew")
    func syslog() throws {
        let files = try TemporaryFiles()
        let path = files.path("log")
        let log = AccessLog()
        log.use(configuration(.syslog(path)))
        for _ in 0..<2 {
            let peer = try PeerProcess(["python3", "-c", Self.syslogText, path])
            try peer.expect("LISTENS")
            log.write(record(1))
            log.write(record(2))
            try peer.expect(nil)
            let pattern = /^<30>[A-Z][a-z]{2} [ 123]\d \d\d:\d\d:\d\d baton\[\d+\]: \{"time":.*"id":"[12]".*\}$/
            let received = peer.text.split(separator: "\n").dropFirst()
            #expect(received.count == 2 && received.allSatisfy { $0.contains(pattern) }, "\(peer.text)")
        }
        #expect(log.droppedLines == 0)
    }

    private static let syslogText = """
        import os, socket, sys
        if os.path.exists(sys.argv[1]): os.unlink(sys.argv[1])
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        s.bind(sys.argv[1])
        s.settimeout(60)
        print('LISTENS', flush=True)
        for _ in range(2): print(s.recv(65536).decode(), flush=True)
        """

    @Test("of what strangers bring about there are a few lines, and then how many there were besides")
    func someLines() throws {
        let files = try TemporaryFiles()
        let log = AccessLog()
        log.use(configuration(.file(files.path("a"))))
        for number in 0..<1_000 { log.writeSome("reset", record(number)) }
        log.writeSome("timed_out", record(1_000))
        log.flush(within: .seconds(60))
        let all = lines(files.path("a"))
        let unlogged = all.compactMap { line in
            (try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])?["unlogged"] as? Int
        }
        #expect(all.count < 100 && all.count + unlogged.reduce(0, +) == 1_001, "\(all)")
    }
}
