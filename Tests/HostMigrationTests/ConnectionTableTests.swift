import BatonCore
import Libc
import Testing

@testable import HostMigration

@Suite("The kernel's table of connections")
struct ConnectionTableTests {
    @Test("tells the ends of a connection in either family, whatever its state but those that no peer waits in")
    func lines() throws {
        let four = "   0: 640200C0:01BB 010200C0:C350 01 00000000:00000000 00:00000000 00000000     0        0 17 1"
        let flow = try #require(ConnectionTable.flow(Array(four.utf8)))
        #expect("\(flow.local)" == "192.0.2.100:443" && "\(flow.remote)" == "192.0.2.1:50000")
        let six =
            "  12: B80D0120000000000000000000010000:0050 B80D0120000000000000000001000000:0400 03 00000000:00000000 01:0"
        let other = try #require(ConnectionTable.flow(Array(six.utf8)))
        #expect("\(other.local)" == "[2001:db8::100]:80" && "\(other.remote)" == "[2001:db8::1]:1024")
        for state in ["06", "07", "0A"] {
            #expect(ConnectionTable.flow(Array(four.replacing(" 01 ", with: " \(state) ").utf8)) == nil)
        }
    }

    @Test(
        "a line that is none is passed over",
        arguments: ["", " 0:", "0: 1:2 3:4 01", "0: 640200C0:01BB x:C350 01", "é"])
    func damaged(_ line: String) {
        #expect(ConnectionTable.flow(Array(line.utf8)) == nil)
    }
}
