import Glibc
import TLSRecords
import Testing

@testable import Handoff

@Suite("a receiver that dies, stops or is busy")
struct ReceiverDeathTests {
    /// The owner's side of a meeting with a peer that stops at `stop`.
    private struct Scene: ~Copyable {
        let peer: Peer
        var channel: OwnerChannel
        let far: Int32
        let meeting: Meeting
        private var batch: ParcelBatch

        init(stop: String) throws {
            let meeting = try Meeting()
            let peer = try Peer("receive", meeting.path, stop)
            let channel = OwnerChannel(try meeting.accept())
            let (near, far) = tcpPair()
            batch = ParcelBatch(Parcel(snapshot: makeSnapshot(), sockets: DescriptorSet(owning: near)))
            self.peer = peer
            self.channel = channel
            self.far = far
            self.meeting = meeting
        }

        deinit { close(far) }

        mutating func begin() {
            var batch = ParcelBatch()
            swap(&batch, &self.batch)
            channel.begin(batch, deadline: generously())
        }

        mutating func send() throws {
            try channel.awaitHello(deadline: generously())
            begin()
            // Sends, and leaves the answer unread.
            guard channel.advanceSending() == nil else { throw TestFailure("over too soon") }
        }

        mutating func outcome() throws -> OfferOutcome {
            while true {
                if let outcome = channel.step() { return outcome }
                guard try wait(for: channel.interest, on: channel.descriptor, until: generously()) else {
                    throw TestFailure("no outcome")
                }
            }
        }
    }

    private func expectOwned(_ outcome: borrowing OfferOutcome, _ far: Int32) {
        #expect(outcome.settlement.fates == [.takenBack])
        guard outcome.returned.count == 1 else { return }
        #expect(outcome.returned.withParcel(at: 0) { carries("still mine", from: $0.sockets[0], to: far) })
        #expect(outcome.returned.withParcel(at: 0) { $0.snapshot != nil })
    }

    @Test(
        "killed at any step before the commit, the owner goes on with the connection",
        arguments: ["silent", "hello", "decide", "accept"])
    func killed(stop: String) throws {
        var scene = try Scene(stop: stop)
        if stop == "silent" { scene.begin() } else { try scene.send() }
        let lines = ["silent": "connected", "hello": "hello", "decide": "deciding", "accept": "accepted"]
        #expect(try scene.peer.line() == lines[stop])
        scene.peer.kill()
        let outcome = try scene.outcome()
        #expect(outcome.settlement.ending == .channelEnded)
        expectOwned(outcome, scene.far)
    }

    @Test(
        "stopped at any step, the owner takes the connection back at its time limit", arguments: ["silent", "decide"])
    func stopped(stop: String) throws {
        var scene = try Scene(stop: stop)
        if stop == "silent" { scene.begin() } else { try scene.send() }
        _ = try scene.peer.line()
        let outcome = try require(scene.channel.expire())
        #expect(outcome.settlement.ending == .cancelled)
        expectOwned(outcome, scene.far)
    }

    @Test("an answer that comes after the time limit changes nothing")
    func lateAnswer() throws {
        var scene = try Scene(stop: "decide")
        try scene.send()
        #expect(try scene.peer.line() == "deciding")
        let outcome = try require(scene.channel.expire())
        scene.peer.resume()
        // The accept of what was cancelled arrives and is passed over.
        _ = try wait(for: Int16(POLLIN), on: scene.channel.descriptor, until: generously())
        let nothing = scene.channel.step() == nil
        #expect(nothing)
        #expect(scene.channel.failure == nil)
        expectOwned(outcome, scene.far)
    }

    @Test("a receiver that becomes the owner runs the connection, and confirms")
    func received() throws {
        var scene = try Scene(stop: "receive")
        try scene.send()
        let outcome = try scene.outcome()
        #expect(outcome.settlement.ending == .committed)
        var text = [UInt8](repeating: 0, count: 4)
        #expect(recv(scene.far, &text, 4, Int32(MSG_WAITALL)) == 4)
        #expect(text == Array("mine".utf8))
        try scene.channel.awaitConfirmation(deadline: generously())
        #expect(scene.channel.unconfirmedCount == 0)
        scene.peer.kill()
        #expect(isAtEnd(scene.far))
    }

    @Test("one that does not read is told to let go although the channel is full, and the owner goes on")
    func fullChannel() throws {
        let (ownerEnd, receiverEnd) = socketPair(Int32(SOCK_SEQPACKET.rawValue))
        var owner = OwnerChannel(try .adopting(ownerEnd))
        var receiver = ReceiverChannel(try .adopting(receiverEnd))
        let state = [UInt8](repeating: 3, count: 4 << 20)
        owner.begin(ParcelBatch(Parcel(applicationState: state)), deadline: generously())
        let isUnderWay = owner.step() == nil
        #expect(isUnderWay)
        #expect(owner.interest & Int16(POLLOUT) != 0)
        let outcome = try require(owner.expire())
        #expect(outcome.settlement == Settlement(ending: .cancelled, fates: [.takenBack]))
        // The cancel is there, behind what was sent of the offer, and the channel serves on.
        let nothing = try receiver.step { _ in .accept } == nil
        #expect(nothing)
        let isHolding = receiver.isHolding
        #expect(!isHolding)
        owner.begin(ParcelBatch(Parcel(applicationState: [1])), deadline: generously())
        _ = owner.step()
        _ = try receiver.step { _ in .accept }
        let next = try require(owner.step())
        #expect(next.settlement.ending == .committed)
    }
}
