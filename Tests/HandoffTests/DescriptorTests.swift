import Glibc
import TLSRecords
import Testing

@testable import Handoff

/// Each in a process of its own: other tests open and close descriptors at the same time.
@Suite("descriptors")
struct DescriptorTests {
    @Test("none is left open after ten thousand handoffs")
    func noLeak() async {
        await #expect(processExitsWith: .success) {
            let (near, far) = socketPair()
            var pair = try ChannelPair()
            let before = (openDescriptorCount(of: near), openDescriptorCount())
            for index in 0..<10_000 {
                var batch = ParcelBatch()
                for _ in 0..<(index % 50 == 0 ? 20 : 1) {
                    batch.append(
                        Parcel(
                            snapshot: makeSnapshot(), sockets: DescriptorSet(owning: fcntl(near, F_DUPFD_CLOEXEC, 0))))
                }
                pair.owner.begin(batch, deadline: generously())
                switch index % 4 {
                case 0:
                    let outcome = try pair.settle { _ in .decline(.noRoom) }
                    #expect(outcome.returned.count > 0)
                case 1:
                    _ = pair.owner.step()
                    _ = try pair.receiver.step { _ in .accept }
                    let outcome = try require(pair.owner.expire())
                    #expect(outcome.settlement.ending == .cancelled)
                    _ = try pair.receiver.step { _ in .accept }
                default:
                    let outcome = try pair.settle()
                    #expect(outcome.settlement.ending == .committed)
                    let parcels = try pair.received()
                    #expect(parcels.count == outcome.settlement.handedOverCount)
                }
            }
            #expect(openDescriptorCount(of: near) == before.0)
            // The test library opens a few of its own.
            #expect(openDescriptorCount() < before.1 + 100)
            close(near)
            #expect(isAtEnd(far))
        }
    }

    @Test("when the receiver's table is full the offer is declined, and what got through is closed")
    func lost() async {
        await #expect(processExitsWith: .success) {
            var pair = try ChannelPair()
            let (near, far) = socketPair()
            var batch = ParcelBatch()
            for _ in 0..<20 {
                batch.append(Parcel(sockets: DescriptorSet(owning: fcntl(near, F_DUPFD_CLOEXEC, 0))))
            }
            pair.owner.begin(batch, deadline: generously())
            _ = pair.owner.step()
            _ = try pair.receiver.step { _ in .decline(.noRoom) }
            var outcome = pair.owner.step()
            pair.owner.begin(try require(outcome.take()).returned, deadline: generously())
            _ = pair.owner.step()

            let before = openDescriptorCount(of: near)
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            // Five more can be had, not twenty.
            let highest = fcntl(near, F_DUPFD_CLOEXEC, 0)
            close(highest)
            var low = rlimit(rlim_cur: rlim_t(highest) + 5, rlim_max: limit.rlim_max)
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &low)
            let event = try pair.receiver.step { _ in .accept }
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            switch event {
            case nil: break
            default: Issue.record("an offer that lost descriptors was taken")
            }
            #expect(openDescriptorCount(of: near) == before)
            outcome = pair.owner.step()
            let declined = try require(outcome.take())
            #expect(declined.settlement.ending == .declined)
            #expect(declined.settlement.fates.allSatisfy { $0 == .declined(.descriptorsLost) })
            #expect(declined.returned.count == 20)
            // The channel goes on.
            pair.owner.begin(declined.returned, deadline: generously())
            let settlement = try pair.settle().settlement
            #expect(settlement.handedOverCount == 20)
            _ = far
        }
    }

    @Test("descriptors nobody announced are closed, and the channel with them")
    func strays() async {
        await #expect(processExitsWith: .success) {
            for (announced, sent) in [(0, 1), (1, 2), (2, 1), (0, 253)] {
                let (near, far) = socketPair()
                let (hostile, end) = socketPair(Int32(SOCK_SEQPACKET.rawValue))
                let before = openDescriptorCount(of: near)
                do {
                    var receiver = try ReceiverChannel(.adopting(fcntl(end, F_DUPFD_CLOEXEC, 0)))
                    var bytes: [UInt8] = []
                    MessageHeader(kind: .offer, descriptorCount: UInt16(announced), transfer: .random())
                        .write(to: &bytes)
                    bytes.appendInteger(UInt32(1))
                    bytes.appendInteger(UInt32(announced))
                    bytes.appendInteger(UInt64(100))
                    bytes.append(contentsOf: [1, 2, 3])
                    let socket = try HandoffSocket.adopting(fcntl(hostile, F_DUPFD_CLOEXEC, 0))
                    let descriptors = [Int32](repeating: near, count: sent)
                    let result = bytes.withUnsafeBytes { bytes in
                        descriptors.withUnsafeBufferPointer { socket.send(bytes, descriptors: $0) }
                    }
                    #expect(result == .sent)
                    do throws(HandoffError) {
                        _ = try receiver.step { _ in .accept }
                        Issue.record("strays were taken: \(sent) for \(announced)")
                    } catch {
                        #expect(error.code == .protocolViolation)
                    }
                    #expect(receiver.failure?.code == .protocolViolation)
                }
                #expect(openDescriptorCount(of: near) == before)
                for descriptor in [near, far, hostile, end] { close(descriptor) }
            }
        }
    }

    @Test("a set closes what it owns and nothing it gave away")
    func ownership() async {
        await #expect(processExitsWith: .success) {
            let (near, far) = socketPair()
            let before = openDescriptorCount(of: near)
            do {
                var set = DescriptorSet()
                for _ in 0..<5 { set.append(owning: fcntl(near, F_DUPFD_CLOEXEC, 0)) }
                var taken = set.takeFirst(2)
                #expect(taken.count == 2 && set.count == 3)
                #expect(openDescriptorCount(of: near) == before + 5)
                for descriptor in taken.takeAll() { close(descriptor) }
                taken.append(set.takeFirst(9))
                #expect(taken.count == 3 && set.isEmpty)
            }
            #expect(openDescriptorCount(of: near) == before)
            _ = far
        }
    }
}
