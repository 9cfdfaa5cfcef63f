import Glibc
import TLSRecords
import Testing

@testable import Handoff

@Suite("a handoff channel")
struct ChannelTests {
    @Test("a parcel arrives with its socket, its connection, its state and its metadata")
    func wholeParcel() throws {
        var pair = try ChannelPair()
        let (near, far) = socketPair()
        defer { close(far) }
        var metadata = ParcelMetadata()
        metadata.moves = 3
        metadata.acceptedAt = 1_700_000_000_000
        metadata.listener = "https"
        metadata.annotations = ["b": [2], "a": [1, 1], "": []]
        metadata.annotations[""] = nil
        let parcel = Parcel(
            snapshot: makeSnapshot(inbound: [23, 3, 3]), sockets: DescriptorSet(owning: near),
            applicationState: [9, 8, 7], metadata: metadata)
        pair.owner.begin(ParcelBatch(parcel), deadline: generously())
        let outcome = try pair.settle()
        #expect(outcome.settlement == Settlement(ending: .committed, fates: [.handedOver]))
        #expect(outcome.returned.count == 0)
        var parcels = try pair.received()
        #expect(parcels.count == 1)
        var received = try require(parcels.removeLast())
        #expect(received.metadata == metadata)
        #expect(received.applicationState == [9, 8, 7])
        #expect(received.snapshot?.info.serverName == "example.org")
        let original = try require(makeSnapshot(inbound: [23, 3, 3])).encoded()
        let encoded = try require(received.snapshot.take()).encoded()
        let isTheSame = encoded.equals(original)
        #expect(isTheSame)
        #expect(carries("hello", from: received.sockets[0], to: far))
        #expect(fcntl(received.sockets[0], F_GETFD) & FD_CLOEXEC != 0)
    }

    @Test("a declined parcel goes back to its owner, and the others are handed over")
    func declineOne() throws {
        var pair = try ChannelPair()
        var batch = ParcelBatch()
        var far: [Int32] = []
        for index in 0..<4 {
            let (near, other) = socketPair()
            far.append(other)
            batch.append(Parcel(sockets: DescriptorSet(owning: near), applicationState: [UInt8(index)]))
        }
        pair.owner.begin(batch, deadline: generously())
        var outcome = try pair.settle { $0.applicationState == [2] ? .decline(.application(5)) : .accept }
        #expect(
            outcome.settlement.fates == [.handedOver, .handedOver, .declined(.application(5)), .handedOver])
        let back = try require(outcome.returned.removeLast())
        #expect(outcome.returned.count == 0)
        #expect(back.applicationState == [2])
        let parcels = try pair.received()
        #expect(parcels.count == 3)
        // The receiver has let the declined one go, and the owner what it handed over: one holder each.
        #expect(carries("back", from: back.sockets[0], to: far[2]))
        for (index, other) in [0, 1, 3].enumerated() {
            #expect(parcels.withParcel(at: index) { carries("there", from: $0.sockets[0], to: far[other]) })
        }
        _ = consume back
        _ = consume parcels
        for other in far { #expect(isAtEnd(other)) }
        for other in far { close(other) }
    }

    @Test("when all are declined, all come back and nothing is committed")
    func declineAll() throws {
        var pair = try ChannelPair()
        var batch = ParcelBatch()
        for _ in 0..<3 { batch.append(Parcel(snapshot: makeSnapshot())) }
        pair.owner.begin(batch, deadline: generously())
        let outcome = try pair.settle { _ in .decline(.noRoom) }
        #expect(outcome.settlement.ending == .declined)
        #expect(outcome.returned.count == 3)
        #expect(outcome.returned.withParcel(at: 1) { $0.snapshot != nil })
        let nothing = try pair.received()
        #expect(nothing.count == 0)
        #expect(pair.owner.unconfirmedCount == 0)
    }

    @Test("a thousand parcels with a socket each arrive in order")
    func thousand() throws {
        var pair = try ChannelPair()
        var batch = ParcelBatch()
        let (first, second) = socketPair()
        defer { close(second) }
        for index in 0..<1000 {
            let copy = fcntl(index % 2 == 0 ? first : second, F_DUPFD_CLOEXEC, 0)
            try #require(copy >= 0)
            batch.append(
                Parcel(
                    snapshot: makeSnapshot(seed: UInt8(index & 255)), sockets: DescriptorSet(owning: copy),
                    applicationState: [UInt8(index >> 8), UInt8(index & 255)]))
        }
        let numbers = (fileNumber(first), fileNumber(second))
        close(first)
        pair.owner.begin(batch, deadline: generously())
        let outcome = try pair.settle()
        #expect(outcome.settlement.handedOverCount == 1000)
        let parcels = try pair.received()
        try #require(parcels.count == 1000)
        for index in 0..<1000 {
            parcels.withParcel(at: index) {
                #expect($0.applicationState == [UInt8(index >> 8), UInt8(index & 255)])
                #expect(fileNumber($0.sockets[0]) == (index % 2 == 0 ? numbers.0 : numbers.1))
            }
        }
    }

    @Test("a parcel of eight megabytes arrives, with the receiver reading as it comes")
    func largeParcel() throws {
        var pair = try ChannelPair()
        let state = (0..<8 << 20).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 11) }
        pair.owner.begin(ParcelBatch(Parcel(applicationState: state)), deadline: generously())
        let outcome = try pair.settle()
        #expect(outcome.settlement.ending == .committed)
        var parcels = try pair.received()
        let parcel = try require(parcels.removeLast())
        #expect(parcel.applicationState == state)
    }

    @Test("an offer larger than the receiver takes is declined, and the next one is taken")
    func tooLarge() throws {
        var options = ReceiverOptions()
        options.largestOffer = 4096
        var pair = try ChannelPair(options: options)
        let large = Parcel(applicationState: [UInt8](repeating: 1, count: 100_000))
        pair.owner.begin(ParcelBatch(large), deadline: generously())
        let outcome = try pair.settle()
        #expect(outcome.settlement.fates == [.declined(.tooLarge)])
        #expect(outcome.returned.withParcel(at: 0) { $0.applicationState.count } == 100_000)
        pair.owner.begin(ParcelBatch(Parcel(applicationState: [1])), deadline: generously())
        let next = try pair.settle().settlement.ending
        #expect(next == .committed)
    }
}
