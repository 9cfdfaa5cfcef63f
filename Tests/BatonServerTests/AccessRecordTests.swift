import BatonConfiguration
import Foundation
import Testing

@testable import BatonServer

@Suite("Lines of the access log")
struct AccessRecordTests {
    private static let now: UInt64 = 1_795_812_345_067

    private func parsed(_ record: AccessRecord) throws -> [String: Any] {
        let line = record.line(.json, at: Self.now)
        return try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
    }

    private var whole: AccessRecord {
        var record = AccessRecord()
        record.id = "0123456789abcdef"
        record.listener = "web"
        record.peer = "192.0.2.1:5000"
        record.version = "1.3"
        record.upstream = "127.0.0.1:8080"
        record.traffic = ConnectionTraffic(
            receivedFromClient: 1, sentToClient: 2, receivedFromUpstream: 3, sentToUpstream: .max, hasUpstream: true)
        record.acceptedAt = Self.now - 1_500
        record.moves = 2
        var standstill = Standstill()
        standstill.add(2_000_000)
        standstill.add(1_000_000)
        record.standstill = standstill
        record.end = .upstreamClosed
        return record
    }

    @Test("one is a JSON object with names and units that stay, and without what is not known")
    func json() throws {
        let line = whole.line(.json, at: Self.now)
        #expect(
            line
                == #"{"time":"2026-11-27T20:45:45.067Z","id":"0123456789abcdef","listener":"web","peer":"192.0.2.1:5000","#
                + #""tls":"1.3","upstream":"127.0.0.1:8080","bytes_in":1,"bytes_out":2,"upstream_bytes_in":3,"#
                + #""upstream_bytes_out":18446744073709551615,"duration_ms":1500,"moves":2,"pause_max_us":2000,"#
                + #""pause_total_us":3000,"end":"upstream-closed"}"#)
        #expect(try parsed(whole)["bytes_in"] as? Int == 1)
    }

    @Test("or logfmt, with quotes where they are needed")
    func logfmt() {
        var record = AccessRecord()
        record.subject = #"CN=a b,O="x""#
        record.serverName = "example.org"
        record.route = ""
        record.end = .closed
        #expect(
            record.line(.logfmt, at: 0)
                == #"time=1970-01-01T00:00:00.000Z sni=example.org subject="CN=a b,O=\"x\"" route="" end=closed"#)
    }

    @Test(
        "whatever a peer says makes no lines, names or commands of its own, and is not long",
        arguments: AccessLogFormat.allCases)
    func hostile(format: AccessLogFormat) throws {
        let words = [
            "a\nb\",\"end\":\"closed", "\u{1B}[2J\u{7}\r\0", "\u{9B}31m\u{85}", "\u{202E}gnp.exe\u{2066}\u{FEFF}",
            String(repeating: "\u{1}", count: 100_000), String(repeating: "\u{1F600}", count: 9_999), "= end=closed \\",
        ]
        for word in words {
            var record = AccessRecord()
            record.serverName = word
            record.applicationProtocol = word
            record.subject = word
            record.detail = word
            record.end = .handshakeFailed
            let line = record.line(format, at: Self.now)
            #expect(line.utf8.count < 2_000)
            #expect(
                line.unicodeScalars.allSatisfy {
                    $0.value >= 0x20 && !(0x7F..<0xA0).contains($0.value) && !(0x2028...0x202E).contains($0.value)
                        && !(0x2066...0x2069).contains($0.value) && $0.value != 0xFEFF
                })
            if format == .json {
                let object = try parsed(record)
                #expect(object["end"] as? String == "handshake-failed" && object.count == 6)
                #expect(word.hasPrefix((object["sni"] as? String ?? "?").replacing("…", with: "")), "\(word)")
            } else {
                let bare = line.replacing(/"(\\.|[^"\\])*"/, with: "")
                #expect(bare.contains(" end=handshake-failed ") && !bare.contains("closed"), "\(line)")
            }
        }
    }

    @Test("what has been noted of standing still is read again, and of something else nothing is")
    func standstill() {
        var standstill = Standstill()
        standstill.add(.max)
        standstill.add(5)
        standstill.adoptions = 7
        #expect(Standstill(standstill.encoded) == standstill && standstill.total == .max)
        #expect(Standstill([]) == nil && Standstill([UInt8](repeating: 1, count: 21)) == nil)
    }
}
