import Glibc
import Testing

@testable import Handoff

@Suite("a handoff listener")
struct ListenerTests {
    @Test("its directory is made, and closed to others")
    func directory() throws {
        let base = temporaryDirectory()
        let listener = try HandoffListener(at: base + "/new/handoff")
        var status = stat()
        try #require(stat(base + "/new", &status) == 0)
        #expect(status.st_mode & 0o777 == 0o700)
        _ = listener.descriptor
    }

    @Test("a directory others may enter is refused, and so is one that is none", arguments: [0o701, 0o710, 0o755])
    func unsafeDirectory(mode: mode_t) throws {
        let base = temporaryDirectory()
        chmod(base, mode)
        let refusal = code { () throws(HandoffError) in _ = try HandoffListener(at: base + "/handoff") }
        #expect(refusal == .unsafeDirectory)
        chmod(base, 0o700)
        symlink(base, base + "/link")
        let link = code { () throws(HandoffError) in _ = try HandoffListener(at: base + "/link/handoff") }
        #expect(link == .unsafeDirectory)
    }

    @Test("a path longer than a Unix socket's is refused")
    func longPath() {
        let path = "/tmp/" + String(repeating: "x", count: 103)
        let listening = code { () throws(HandoffError) in _ = try HandoffListener(at: path) }
        let connecting = code { () throws(HandoffError) in
            _ = try HandoffSocket.connect(to: path, deadline: .immediate)
        }
        #expect(listening == .pathTooLong)
        #expect(connecting == .pathTooLong)
    }

    @Test("two listeners on one path: the second is refused, and the first goes on")
    func twoListeners() throws {
        let path = temporaryDirectory() + "/handoff"
        let first = try HandoffListener(at: path)
        let second = code { () throws(HandoffError) in _ = try HandoffListener(at: path) }
        #expect(second == .pathInUse)
        let client = try HandoffSocket.connect(to: path, deadline: generously())
        let accepted = try require(first.accept(deadline: generously()))
        #expect(accepted.peer.processID == getpid())
        #expect(client.peer.userID == geteuid())
    }

    @Test("a path nobody listens at is told at once, whether it is missing or stale")
    func stale() throws {
        let path = temporaryDirectory() + "/handoff"
        let missing = code { () throws(HandoffError) in
            _ = try HandoffSocket.connect(to: path, deadline: generously())
        }
        #expect(missing == .nobodyListening)
        let peer = try Peer("listen", path, "now")
        #expect(try peer.line() == "listening")
        let taken = code { () throws(HandoffError) in _ = try HandoffListener(at: path) }
        #expect(taken == .pathInUse)
        peer.kill()
        var status = stat()
        #expect(lstat(path, &status) == 0)
        let stale = code { () throws(HandoffError) in
            _ = try HandoffSocket.connect(to: path, deadline: generously())
        }
        #expect(stale == .nobodyListening)
        // Who comes next takes the path over.
        let next = try HandoffListener(at: path)
        _ = try HandoffSocket.connect(to: path, deadline: generously())
        _ = next.descriptor
    }

    @Test("a listener that goes takes its socket along, but not one that was put in its place")
    func removal() throws {
        let path = temporaryDirectory() + "/handoff"
        do {
            let listener = try HandoffListener(at: path)
            _ = listener.descriptor
        }
        #expect(access(path, F_OK) != 0)
        do {
            let listener = try HandoffListener(at: path)
            unlink(path)
            mkdir(path, 0o700)
            _ = listener.descriptor
        }
        #expect(access(path, F_OK) == 0)
    }

    @Test("a file that is no socket is not removed")
    func otherFile() throws {
        let path = temporaryDirectory() + "/handoff"
        close(open(path, O_CREAT | O_WRONLY, 0o600))
        let refusal = code { () throws(HandoffError) in _ = try HandoffListener(at: path) }
        #expect(refusal == .foreignFile)
        #expect(access(path, F_OK) == 0)
    }

    @Test("a process of another user is turned away, at either end", .enabled(if: geteuid() == 0))
    func otherUser() throws {
        let path = temporaryDirectory() + "/handoff"
        let listener = try HandoffListener(at: path)
        chmod(String(path.dropLast("/handoff".count)), 0o755)
        let peer = try Peer("receive", path, "silent", "12345")
        let refusal = code { () throws(HandoffError) in _ = try listener.accept(deadline: generously()) }
        #expect(refusal == .peerNotAllowed)
        // The stranger, for its part, does not trust root less than itself.
        #expect(try peer.line() == "connected")
        // Listed, it may take part.
        let trusted = TrustedUsers(others: [12345])
        let other = temporaryDirectory() + "/handoff"
        let open = try HandoffListener(at: other, trusting: trusted)
        chmod(String(other.dropLast("/handoff".count)), 0o755)
        let friend = try Peer("receive", other, "silent", "12345")
        let accepted = try require(open.accept(deadline: generously()))
        #expect(accepted.peer.userID == 12345)
        #expect(try friend.line() == "connected")
    }

    @Test("a listener of another user is not connected to", .enabled(if: geteuid() == 0))
    func otherUsersListener() throws {
        let directory = temporaryDirectory()
        chown(directory, 12345, 12345)
        let peer = try Peer("listen", directory + "/handoff", "now", "12345")
        #expect(try peer.line() == "listening")
        let refusal = code { () throws(HandoffError) in
            _ = try HandoffSocket.connect(to: directory + "/handoff", deadline: generously())
        }
        #expect(refusal == .peerNotAllowed)
    }

    @Test("a live listener that accepts nobody yet gets the parcel when it does")
    func busy() throws {
        let path = temporaryDirectory() + "/handoff"
        let listener = try HandoffListener(at: path)
        var owner = OwnerChannel(try .connect(to: path, deadline: generously()))
        owner.begin(ParcelBatch(Parcel(applicationState: [1])), deadline: generously())
        let nothing = owner.step() == nil
        #expect(nothing)
        var receiver = ReceiverChannel(try require(listener.accept(deadline: generously())))
        _ = owner.step()
        _ = try receiver.step { _ in .accept }
        let outcome = try require(owner.step())
        #expect(outcome.settlement.ending == .committed)
    }

    @Test("a full backlog is waited for until the time limit, and no longer")
    func fullBacklog() throws {
        let path = temporaryDirectory() + "/handoff"
        let listener = try HandoffListener(at: path, backlog: 1)
        var waiting: [Int32] = []
        var refusal: HandoffError.Code?
        while refusal == nil, waiting.count < 10 {
            refusal = code { () throws(HandoffError) in
                let socket = try HandoffSocket.connect(to: path, deadline: .after(.milliseconds(20)))
                waiting.append(fcntl(socket.descriptor, F_DUPFD_CLOEXEC, 0))
            }
        }
        #expect(refusal == .timedOut)
        for descriptor in waiting { close(descriptor) }
        _ = listener.descriptor
    }
}
