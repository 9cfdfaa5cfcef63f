import StockPeers
import Testing

@Suite(.timeLimit(.minutes(4)))
struct FountainTests {
    private let peers = FountainPeers()

    @Test(
        "a file of any length comes whole, with and without loss",
        arguments: [(1, 0), (1_024, 30), (65_536, 30), (65_537, 30), (700_000, 0), (700_000, 30)])
    func lengths(count: Int, lossPercent: Int) throws {
        let digest = try peers.write("file", count: count, seed: count)
        let sender = try peers.start("file")
        let port = try sender.number(behind: "sends at port ")
        let receiver = try peers.receiver(port, lossPercent: lossPercent, seed: 1, pauses: 0)
        try receiver.expect("DONE \(digest) TWICE 0\n")
    }

    @Test("the sender is replaced twice in mid-transfer at 30 % loss, and no receiver begins anew")
    func upgrades() throws {
        let digest = try peers.write("file", count: 1_000_000, seed: 9)
        var sender = try peers.start("file")
        let port = try sender.number(behind: "sends at port ")
        let receivers = try (1...4).map { try peers.receiver(port, lossPercent: 30, seed: $0, pauses: 2) }
        for receiver in receivers { try receiver.expect("PART 1\n") }
        sender = try peers.deploy("file", replacing: sender, sessions: 4)
        #expect(sender.text.contains("at port \(port) "))
        for receiver in receivers { try receiver.send("go\n") }
        for receiver in receivers { try receiver.expect("PART 2\n") }
        sender = try peers.deploy("file", replacing: sender, sessions: 4)
        for receiver in receivers { try receiver.send("go\n") }
        for receiver in receivers {
            try receiver.expect("DONE \(digest) TWICE 0\n")
            // The first answers are lost like any; once a session is there nobody asks again.
            try receiver.expect(nil)
            #expect(receiver.status == 0)
        }
        // Who comes now is served by the third process.
        let late = try peers.receiver(port, lossPercent: 30, seed: 5, pauses: 0)
        try late.expect("DONE \(digest) TWICE 0\n")
        #expect(sender.isRunning)
    }

    @Test("nothing is remembered of who does not show that it is where it says; one address has 64 sessions at most")
    func places() throws {
        let digest = try peers.write("file", count: 300_000, seed: 6)
        var sender = try peers.start("file")
        let port = try sender.number(behind: "sends at port ")
        let receiver = try peers.receiver(port, lossPercent: 0, seed: 1, pauses: 1)
        try receiver.expect("PART 1\n")
        let unproven = try peers.crowd(port, count: 1_500, served: 0)
        try unproven.expect("ASKED")
        sender = try peers.deploy("file", replacing: sender, sessions: 1)
        // The receiver has one of the 64.
        let proven = try peers.crowd(port, count: 80, served: 63)
        try proven.expect("SERVED")
        sender = try peers.deploy("file", replacing: sender, sessions: 64)
        try receiver.send("go\n")
        try receiver.expect("DONE \(digest) TWICE 0\n")
    }

    @Test("the lowest rate sends")
    func lowestRate() throws {
        let digest = try peers.write("file", count: 20_000, seed: 7)
        let sender = try peers.start("file", rate: 10_000)
        let receiver = try peers.receiver(
            try sender.number(behind: "sends at port "), lossPercent: 0, seed: 1, pauses: 0)
        try receiver.expect("DONE \(digest) TWICE 0\n")
    }

    @Test("a successor with another file takes nothing, and the old process goes on")
    func otherFile() throws {
        let digest = try peers.write("file", count: 300_000, seed: 3)
        _ = try peers.write("other", count: 300_000, seed: 4)
        let sender = try peers.start("file")
        let port = try sender.number(behind: "sends at port ")
        let receiver = try peers.receiver(port, lossPercent: 30, seed: 1, pauses: 1)
        try receiver.expect("PART 1\n")
        let wrong = try peers.start("other")
        try wrong.expect("sends another file, or does not answer; end it first")
        try wrong.expect(nil)
        #expect(wrong.status == 1)
        try sender.expect("goes on: the successor has not taken the sessions")
        try receiver.send("go\n")
        try receiver.expect("DONE \(digest) TWICE 0\n")
    }

    @Test(
        "who does not show that it is where it says gets no more than it has sent; who is silent, a window and probes")
    func bounds() throws {
        let digest = try peers.write("file", count: 700_000, seed: 5)
        let sender = try peers.start("file")
        let port = try sender.number(behind: "sends at port ")
        let asking = try peers.silent(port, isConfirming: false)
        let confirming = try peers.silent(port, isConfirming: true)
        try asking.expect("ASKED")
        try confirming.expect("ASKED")
        let receiver = try peers.receiver(port, lossPercent: 0, seed: 1, pauses: 0)
        try receiver.expect("DONE \(digest) TWICE 0\n")
        try asking.send("tell\n")
        try confirming.send("tell\n")
        #expect(try asking.number(behind: "BYTES ") <= 64)
        let packets = try confirming.number(behind: "PACKETS ")
        let tenths = try confirming.number(behind: "TENTHS ")
        #expect(packets >= 1 && packets <= 16 + tenths + 1, "\(packets) packets in \(tenths) tenths of a second")
    }
}
