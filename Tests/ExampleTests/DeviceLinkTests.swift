import Foundation
import SelfSigned
import StockPeers
import Testing

@Suite(.timeLimit(.minutes(4)))
struct DeviceLinkTests {
    private let peers = try! DeviceLinkPeers()

    @Test(
        "a device that is known by its certificate gets commands in order, and the operator hears once that each is done"
    )
    func commands() throws {
        let server = try peers.server()
        let user = try peers.operatorClient()
        // Before the device has come for the first time.
        try user.send("send device-17 first thing\n")
        try user.expect("QUEUED device-17 1")
        let device = try peers.openssl(server.port, "device-17")
        try device.send("HELLO 0\n")
        try device.expect("DO 1 first thing\n")
        try user.send("send device-17 second\nstatus\n")
        try user.expect("QUEUED device-17 2")
        try user.expect("DEVICE device-17 here, 2 waiting\nOK\n")
        #expect(!device.text.contains("DO 2"))
        try device.send("DONE 1 all right\nDONE 1 twice\n")
        try user.expect("DONE device-17 1 all right\n")
        try device.expect("DO 2 second\n")
        try device.send("DONE 2\n")
        try user.expect("DONE device-17 2\n")
        try user.send("status\n")
        try user.expect("DEVICE device-17 here, 0 waiting")
        #expect(!user.text.contains("twice"))
        // The same device comes again, and its older connection ends.
        let again = try peers.openssl(server.port, "device-17")
        try again.send("HELLO 2\n")
        try device.expect("ERROR this device has another connection now")
        try user.send("send device-17 third\n")
        try again.expect("DO 3 third")
    }

    @Test("a command that is not answered is sent again, and done once")
    func redelivers() throws {
        let server = try peers.server()
        let user = try peers.operatorClient()
        let device = try peers.device(server.port, "device-17", "deaf")
        try device.expect("HERE")
        try user.send("send device-17 knock\n")
        try device.expect("DEAF\n")
        try user.expect("DONE device-17 1 did knock\n")
        try user.send("send device-17 once more\n")
        try device.expect("DID once more")
        #expect(device.text.components(separatedBy: "DID knock").count == 2)
    }

    @Test("a device that dies when it has done something, and before it can say so, does not do it again")
    func diesBeforeItAnswers() throws {
        let server = try peers.server()
        let user = try peers.operatorClient()
        let dying = try peers.device(server.port, "device-17", "dying")
        try user.send("send device-17 open the door\nsend device-17 close the door\n")
        try dying.expect("DID open the door")
        try dying.expect(nil)
        let device = try peers.device(server.port, "device-17")
        try user.expect("DONE device-17 1 done before")
        try user.expect("DONE device-17 2 did close the door")
        #expect(!device.text.contains("open"))
    }

    @Test("devices, commands, half a line and who waits for an answer live through deploys")
    func deploys() throws {
        var server = try peers.server()
        let user = try peers.operatorClient()
        let slow = try peers.openssl(server.port, "device-17")
        try slow.send("HELLO 0\n")
        let devices = try ["device-18", "device-19"].map { try peers.device(server.port, $0) }
        for device in devices { try device.expect("HERE") }
        try user.send("send device-17 slowly\n")
        try slow.expect("DO 1 slowly")
        try slow.send("DONE 1 half a ")
        for round in 1...3 {
            for name in ["device-18", "device-19"] { try user.send("send \(name) before \(round)\n") }
            server.process = try peers.deploy(replacing: server.process)
            for name in ["device-18", "device-19"] { try user.send("send \(name) after \(round)\n") }
            for (name, device) in zip(["device-18", "device-19"], devices) {
                try user.expect("DONE \(name) \(2 * round - 1) did before \(round)\n")
                try user.expect("DONE \(name) \(2 * round) did after \(round)\n")
                try device.expect("DID after \(round)")
            }
        }
        try slow.send("line\n")
        try user.expect("DONE device-17 1 half a line\n")
        let order = (1...3).flatMap { ["DID before \($0)", "DID after \($0)"] }
        for device in devices {
            #expect(device.text.split(separator: "\n").filter { $0.hasPrefix("DID") } == order.map { $0[...] })
        }
        #expect(user.text.components(separatedBy: "DONE").count == 14)
    }

    @Test("a server that is killed loses no command")
    func killed() throws {
        let server = try peers.server()
        let user = try peers.operatorClient()
        try user.send("send device-17 later\n")
        try user.expect("QUEUED device-17 1")
        kill(server.process.processID, SIGKILL)
        _ = server.process.status
        let next = try peers.server()
        let device = try peers.device(next.port, "device-17")
        try device.expect("DID later")
    }

    @Test("a device without a connection is triggered by a datagram, and pulls over TLS")
    func triggers() throws {
        let server = try peers.server()
        let user = try peers.operatorClient()
        let device = try peers.poorDevice(server.port, "device-17", pullsPerSecond: 2)
        let port = try device.number(behind: "TRIGGERED AT ")
        try user.send("send device-17 wake up\n")
        try user.expect("DONE device-17 1 did wake up")
        try device.expect("PULLED 2 AFTER 1 device-17")
        // The trigger's address outlives the process that has learnt it.
        let next = try peers.deploy(replacing: server.process)
        try user.send("send device-17 and again\n")
        try user.expect("DONE device-17 2 did and again")
        // Whoever can send a datagram can make it ask, but not often, and never do anything.
        let clock = ContinuousClock()
        let begin = clock.now
        let flood = try PeerProcess(["python3", "-c", Self.flood, "\(port)"])
        try flood.expect("SENT")
        try user.send("send device-17 after the flood\n")
        try user.expect("DONE device-17 3 did after the flood")
        let seconds = Int((clock.now - begin) / .seconds(1)) + 1
        let pulls = device.text.split(separator: "\n").filter { $0.hasPrefix("PULLED") }.count
        #expect(pulls <= 2 + 2 + 2 * seconds, "\(pulls) pulls in \(seconds) s")
        #expect(device.text.split(separator: "\n").filter { $0.hasPrefix("DID") }.count <= 3)
        #expect(next.isRunning)
    }

    @Test("many commands at once are few triggers, and a device that pulls too often is told to wait")
    func limits() throws {
        let server = try peers.server()
        let user = try peers.operatorClient()
        let listener = try PeerProcess(["python3", "-c", Self.counter])
        let port = try listener.number(behind: "PORT ")
        let device = try peers.openssl(server.port, "device-17")
        try device.send("PULL 0 \(port)\n")
        try device.expect("END\n")
        try device.expect(nil)
        let clock = ContinuousClock()
        let begin = clock.now
        for count in 1...50 { try user.send("send device-17 command \(count)\n") }
        try user.expect("QUEUED device-17 50")
        // The second datagram comes a second after the first, the third two seconds later.
        try listener.expect("device-17", count: 3)
        let seconds = (clock.now - begin) / .seconds(1)
        #expect(seconds >= 2.5, "three triggers in \(seconds) s")
        // All at once, so that the limit is not filled up again meanwhile.
        let visits = try ["PULL 0 0", "HELLO 0"].flatMap { line in
            try (0..<15).map { _ in
                let visit = try peers.openssl(server.port, "device-17")
                // The second line is wrong, so the connection ends in any case.
                try visit.send("\(line)\nPULL 0 0\n")
                return visit
            }
        }
        var refusals = 0
        for visit in visits {
            try visit.expect(nil)
            let isRefused = visit.text.contains("ERROR too often")
            #expect(isRefused != visit.text.contains("DO 1 command 1"), "\(visit.text)")
            refusals += isRefused ? 1 : 0
        }
        #expect(refusals > 0)
    }

    @Test("a device that has come is told of the next command at once, however long it was away")
    func triggersAnew() throws {
        let server = try peers.server()
        let user = try peers.operatorClient()
        let listener = try PeerProcess(["python3", "-c", Self.counter])
        let port = try listener.number(behind: "PORT ")
        for name in ["device-17", "device-18"] {
            let device = try peers.openssl(server.port, name)
            try device.send("PULL 0 \(port)\n")
            try device.expect("END\n")
            try user.send("send \(name) first\n")
        }
        // After 0, 1, 3 and 7 seconds; the next one would come after 15.
        try listener.expect("device-17", count: 4)
        let device = try peers.openssl(server.port, "device-17")
        try device.send("PULL 0 \(port)\n")
        try device.expect("DO 1 first\n")
        try device.send("DONE 1\n")
        try device.expect("END\n")
        try user.send("send device-17 second\n")
        try listener.expect("device-17", count: 5)
        // The other one, which has not come, is the clock.
        #expect(listener.text.components(separatedBy: "device-18").count <= 5)
    }

    @Test("a mailbox that cannot be read is not taken for an empty one, and goes on when it can be")
    func unreadable() throws {
        let server = try peers.server()
        let user = try peers.operatorClient()
        try user.send("send device-17 first\n")
        try user.expect("QUEUED device-17 1\n")
        let file = peers.files.path("store/device-17.json")
        let content = try Data(contentsOf: URL(fileURLWithPath: file))
        try Data("half a mailb".utf8).write(to: URL(fileURLWithPath: file))
        try user.send("send device-17 second\nstatus\n")
        try user.expect("ERROR the store cannot be read or written\n")
        try user.expect("DEVICE device-17 away, its mailbox cannot be read\nOK\n")
        let device = try peers.openssl(server.port, "device-17")
        try device.send("HELLO 0\n")
        try device.expect("ERROR the store cannot be read or written\n")
        try content.write(to: URL(fileURLWithPath: file))
        let again = try peers.openssl(server.port, "device-17")
        try again.send("HELLO 0\n")
        try again.expect("DO 1 first\n")
    }

    @Test("a command whose result is not kept any more is told as done")
    func resultIsGone() throws {
        let server = try peers.server()
        let user = try peers.operatorClient()
        try user.send("send device-17 first\n")
        try user.expect("QUEUED device-17 1\n")
        // As another process leaves it after many more commands.
        try Data(#"{"pending":[],"results":[{"id":99,"text":""}],"lastID":99}"#.utf8)
            .write(to: URL(fileURLWithPath: peers.files.path("store/device-17.json")), options: .atomic)
        try user.expect("DONE device-17 1 its result is not kept any more\n")
        try user.send("status\n")
        try user.expect("DEVICE device-17 away, 0 waiting\nOK\n")
        #expect(server.process.isRunning)
    }

    @Test("an operator hears of thousands of devices")
    func manyDevices() throws {
        let server = try peers.server()
        for number in 1...5_000 {
            try Data(#"{"pending":[],"results":[],"lastID":0}"#.utf8)
                .write(to: URL(fileURLWithPath: peers.files.path("store/d\(number).json")))
        }
        let user = try peers.operatorClient()
        try user.send("status\n")
        try user.expect("\nOK\n")
        #expect(user.text.components(separatedBy: " away, 0 waiting\n").count == 5_001)
        #expect(server.process.isRunning)
    }

    @Test("a device that is ahead of the store, which is an old copy, gets ids that it does not know")
    func oldCopy() throws {
        let server = try peers.server()
        let user = try peers.operatorClient()
        try user.send("send device-17 before it came\n")
        try user.expect("QUEUED device-17 1\n")
        let device = try peers.openssl(server.port, "device-17")
        try device.send("HELLO 57\n")
        try user.expect("DONE device-17 1 unknown, for the device has had commands that the store has lost\n")
        try user.send("send device-17 anew\n")
        try user.expect("QUEUED device-17 58\n")
        try device.expect("DO 58 anew\n")
        let wild = try peers.openssl(server.port, "device-17")
        try wild.send("HELLO \(UInt64.max)\n")
        try wild.expect("ERROR no command has an id as great as that\n")
    }

    @Test("a session that has ended takes no more lines, and what a device says is shown without control characters")
    func wildDevice() throws {
        let server = try peers.server()
        let user = try peers.operatorClient()
        let device = try peers.openssl(server.port, "device-17")
        try device.send("HELLO 0\n")
        try user.send("send device-17 speak\n")
        try device.expect("DO 1 speak\n")
        let wild = try peers.openssl(server.port, "device-17")
        try wild.send("x\nHELLO 1\n")
        try wild.expect("ERROR say HELLO LAST")
        try wild.expect(nil)
        // The older session is still the device's.
        try device.send("DONE 1 \u{1B}[2J\u{9B}1m\u{202E} \(String(repeating: "é", count: 1_100))\n")
        try user.expect("DONE device-17 1 ?[2J?1m? \(String(repeating: "é", count: 1_015))\n")
    }

    @Test("who has no certificate, or another authority's, is nobody; wrong words are answered")
    func strangers() throws {
        let server = try peers.server()
        let roots = try Credentials.shared.rootsFile(in: peers.files)
        let other = try CertificateAuthority(commonName: "Somebody else").issue(for: ["device-17"])
        let certificate = try peers.files.write(other.certificatePEM, "other.pem")
        let key = try peers.files.write(other.privateKeyPEM, "other.key")
        let command = ["openssl", "s_client", "-connect", "127.0.0.1:\(server.port)", "-quiet", "-CAfile", roots]
        for arguments in [[], ["-cert", certificate, "-key", key]] {
            let stranger = try PeerProcess(command + arguments)
            try stranger.expect("alert")
            try stranger.expect(nil)
            #expect(stranger.status != 0)
        }
        let device = try peers.openssl(server.port, "device-17")
        try device.send("DONE 1\n")
        try device.expect("ERROR say HELLO LAST or PULL LAST PORT first")
        let user = try peers.operatorClient()
        try user.send("send ../x y\nsend device-17\n\(String(repeating: "x", count: 2_000))\nhelp\n")
        try user.expect("ERROR ../x is no device's name")
        try user.expect("ERROR say: send DEVICE TEXT, or status", count: 3)
    }

    private static let flood = """
        import socket, sys
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for _ in range(2000): u.sendto(b'device-17\\n', ('127.0.0.1', int(sys.argv[1])))
        print('SENT', flush=True)
        """

    private static let counter = """
        import socket
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        u.bind(('127.0.0.1', 0))
        print('PORT', u.getsockname()[1], flush=True)
        while True: print(u.recv(100).decode(), end='', flush=True)
        """
}
