import Glibc
import Testing

@testable import Handoff

@Suite("an owner that dies or goes")
struct OwnerDeathTests {
    /// A receiver that has seen the owner's offer, and the far end of the connection.
    private struct Scene: ~Copyable {
        let peer: Peer
        var channel: ReceiverChannel
        let far: Int32
        let meeting: Meeting

        init(stop: String, proofTime: Duration = .seconds(30)) throws {
            let meeting = try Meeting()
            let peer = try Peer("own", meeting.path, stop, String(meeting.port))
            var options = ReceiverOptions()
            options.proofTime = proofTime
            let socket = try meeting.accept()
            let channel = ReceiverChannel(socket, options: options)
            let far = try meeting.acceptConnection()
            self.peer = peer
            self.channel = channel
            self.far = far
            self.meeting = meeting
        }

        deinit { close(far) }

        /// Takes the offer, as far as it got.
        mutating func accept() throws {
            #expect(try peer.line() == "offered")
            while !channel.isHolding {
                guard try wait(for: channel.interest, on: channel.descriptor, until: generously()) else {
                    throw TestFailure("no offer")
                }
                if case .received = try channel.step({ _ in .accept }) { throw TestFailure("received too soon") }
            }
        }

        /// Waits for what comes of it.
        mutating func event() throws -> ReceiverEvent {
            while true {
                if let event = try channel.step({ _ in .accept }) { return event }
                guard try wait(for: channel.interest, on: channel.descriptor, until: channel.deadline ?? generously())
                else { continue }
            }
        }
    }

    @Test("killed after its offer was accepted: the receiver adopts the connection")
    func adopt() throws {
        var scene = try Scene(stop: "offer")
        try scene.accept()
        scene.peer.kill()
        guard case .received(let received) = try scene.event() else { throw TestFailure("not adopted") }
        let isAdopted = received.isAdopted
        #expect(isAdopted)
        #expect(received.parcels.count == 1)
        let far = scene.far
        #expect(received.parcels.withParcel(at: 0) { carries("still here", from: $0.sockets[0], to: far) })
        guard case .ended = try scene.event() else { throw TestFailure("the channel goes on") }
    }

    @Test("killed after its offer was accepted, having written since: the connection is closed")
    func writtenSince() throws {
        var scene = try Scene(stop: "write")
        try scene.accept()
        scene.peer.kill()
        guard case .discarded(.unproven) = try scene.event() else { throw TestFailure("adopted without proof") }
        // What it wrote, and then the end: nobody holds the connection.
        var byte: UInt8 = 0
        #expect(recv(scene.far, &byte, 1, 0) == 1)
        #expect(recv(scene.far, &byte, 1, 0) == 0)
    }

    @Test("killed with half of the offer sent: the connection is closed")
    func part() throws {
        var scene = try Scene(stop: "part")
        #expect(try scene.peer.line() == "offered")
        scene.peer.kill()
        guard case .ended = try scene.event() else { throw TestFailure("half an offer was taken") }
        let isHolding = scene.channel.isHolding
        #expect(!isHolding)
        var byte: UInt8 = 0
        #expect(recv(scene.far, &byte, 1, 0) == 0)
    }

    @Test("killed after its commit left: the receiver owns the connection")
    func committed() throws {
        var scene = try Scene(stop: "commit")
        // The commit stays unread until the owner is gone.
        while !scene.channel.isHolding {
            _ = try wait(for: scene.channel.interest, on: scene.channel.descriptor, until: generously())
            if case .received = try scene.channel.step({ _ in .accept }) { throw TestFailure("too soon to tell") }
        }
        #expect(try scene.peer.line() == "committed")
        scene.peer.kill()
        guard case .received(let received) = try scene.event() else { throw TestFailure("the commit was lost") }
        let isAdopted = received.isAdopted
        #expect(!isAdopted)
        let far = scene.far
        #expect(received.parcels.withParcel(at: 0) { carries("mine", from: $0.sockets[0], to: far) })
    }

    @Test("killed after it took its offer back: the receiver lets go")
    func cancelled() throws {
        var scene = try Scene(stop: "cancel")
        #expect(try scene.peer.line() == "offered")
        scene.peer.kill()
        // Offer, cancel and end are all there; the answer finds nobody.
        guard case .discarded(.cancelled) = try scene.event() else { throw TestFailure("kept after a cancel") }
        guard case .ended = try scene.event() else { throw TestFailure("the channel goes on") }
    }

    @Test("alive, but its channel ended: nothing proves its death, and the receiver lets go")
    func alive() throws {
        var scene = try Scene(stop: "close", proofTime: .milliseconds(50))
        try scene.accept()
        scene.peer.resume()
        #expect(try scene.peer.line() == "closed true")
        guard case .discarded(.unproven) = try scene.event() else { throw TestFailure("adopted from the living") }
    }
}
