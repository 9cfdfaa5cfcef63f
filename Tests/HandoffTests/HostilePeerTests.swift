import Glibc
import TLSRecords
import Testing

@testable import Handoff

@Suite("a peer that says anything")
struct HostilePeerTests {
    /// A message with a header that is mostly right and a body that is mostly not.
    private func message(_ transfer: TransferID, _ generator: inout SystemRandomNumberGenerator) -> [UInt8] {
        var bytes: [UInt8] = []
        let kind = MessageKind(rawValue: UInt8.random(in: 1...8, using: &generator)) ?? .offer
        let id = Bool.random(using: &generator) ? transfer : .random()
        MessageHeader(kind: kind, transfer: id).write(to: &bytes)
        switch UInt8.random(in: 0...3, using: &generator) {
        case 0: break
        case 1:
            bytes.appendInteger(UInt32.random(in: 0...3, using: &generator))
            bytes.append(contentsOf: [0, 1, 0].prefix(Int.random(in: 0...3, using: &generator)))
        case 2:
            for value: UInt32 in [1, 0, 0, .random(in: 0...60, using: &generator)] { bytes.appendInteger(value) }
            bytes.append(contentsOf: [UInt8](repeating: 7, count: Int.random(in: 0...60, using: &generator)))
        default:
            let count = Int.random(in: 0...200, using: &generator)
            for _ in 0..<count { bytes.append(.random(in: 0...255, using: &generator)) }
        }
        if UInt8.random(in: 0...9, using: &generator) == 0 {
            bytes = Array(bytes.prefix(Int.random(in: 1...bytes.count, using: &generator)))
        }
        return bytes
    }

    @Test("never makes a receiver trap, nor gives it a connection")
    func receiver() throws {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<3000 {
            let (hostile, end) = socketPair(Int32(SOCK_SEQPACKET.rawValue))
            let socket = try HandoffSocket.adopting(hostile)
            var receiver = ReceiverChannel(try .adopting(end))
            let transfer = TransferID.random()
            for _ in 0..<4 { _ = message(transfer, &generator).withUnsafeBytes { socket.send($0) } }
            do throws(HandoffError) {
                while case .some(let event) = try receiver.step({ _ in .accept }) {
                    if case .received = event { throw HandoffError(.system, "a connection out of nothing") }
                }
            } catch {
                #expect(error.code == .protocolViolation)
            }
        }
    }

    @Test("never makes an owner trap, and costs it no connection unless it accepted one")
    func owner() throws {
        var generator = SystemRandomNumberGenerator()
        var handedOver = 0
        for _ in 0..<3000 {
            let (hostile, end) = socketPair(Int32(SOCK_SEQPACKET.rawValue))
            let socket = try HandoffSocket.adopting(hostile)
            var owner = OwnerChannel(try .adopting(end))
            let honest = ReceiverChannel(try .adopting(fcntl(hostile, F_DUPFD_CLOEXEC, 0)))
            owner.begin(ParcelBatch(Parcel(applicationState: [1])), deadline: generously())
            guard owner.step() == nil else { throw TestFailure("over before an answer") }
            var descriptors = DescriptorSet()
            var offer = [UInt8](repeating: 0, count: 1000)
            let received = offer.withUnsafeMutableBytes { socket.receive(into: $0, descriptors: &descriptors) }
            guard case .message = received else { throw TestFailure("no offer") }
            let transfer = try #require(offer[4..<20].withUnsafeBytes(TransferID.init))
            for _ in 0..<4 { _ = message(transfer, &generator).withUnsafeBytes { socket.send($0) } }
            var outcome = owner.step()
            if outcome == nil { outcome = owner.expire() }
            let settled = try require(outcome.take())
            handedOver += settled.settlement.handedOverCount
            #expect(settled.returned.count + settled.settlement.handedOverCount == 1)
            _ = honest.peer
        }
        // Some of the answers are well formed.
        #expect(handedOver > 0)
    }

    @Test("two owners, or two receivers, on one channel find out")
    func sameRole() throws {
        let (first, second) = socketPair(Int32(SOCK_SEQPACKET.rawValue))
        var one = ReceiverChannel(try .adopting(first))
        let two = ReceiverChannel(try .adopting(second))
        do throws(HandoffError) {
            _ = try one.step { _ in .accept }
            Issue.record("a receiver took a receiver for an owner")
        } catch {
            #expect(error.code == .protocolViolation)
            #expect(error.message.contains("both ends of this channel are receivers"))
        }
        _ = two.peer
    }

    @Test("a receiver of another version is offered nothing, and the error says what to do")
    func otherVersion() throws {
        let (first, second) = socketPair(Int32(SOCK_SEQPACKET.rawValue))
        let socket = try HandoffSocket.adopting(first)
        var owner = OwnerChannel(try .adopting(second))
        let hello = Hello(
            versions: 9...12, snapshots: 1...1, receiver: .random(), processID: 1, room: nil, largestOffer: 1000)
        var bytes: [UInt8] = []
        hello.write(key: SealKey.random(), to: &bytes)
        #expect(bytes.count == HandoffProtocol.helloSize)
        // Later versions may append.
        _ = (bytes + [1, 2, 3]).withUnsafeBytes { socket.send($0) }
        owner.begin(ParcelBatch(Parcel(applicationState: [1])), deadline: generously())
        let outcome = try require(owner.step())
        #expect(outcome.error?.code == .versionMismatch)
        #expect(outcome.settlement.fates == [.takenBack])
        #expect(outcome.returned.count == 1)
    }

    @Test("an offer is refused when its seal is another receiver's, or it was opened before")
    func replay() throws {
        let (hostile, end) = socketPair(Int32(SOCK_SEQPACKET.rawValue))
        let socket = try HandoffSocket.adopting(hostile)
        var receiver = ReceiverChannel(try .adopting(end))
        // An honest owner's messages, kept to be sent again.
        var owner = OwnerChannel(try .adopting(fcntl(hostile, F_DUPFD_CLOEXEC, 0)))
        owner.begin(ParcelBatch(Parcel(applicationState: [1])), deadline: generously())
        _ = owner.step()
        var descriptors = DescriptorSet()
        let reader = try HandoffSocket.adopting(fcntl(end, F_DUPFD_CLOEXEC, 0))
        var offer = [UInt8](repeating: 0, count: 1000)
        let received = offer.withUnsafeMutableBytes { reader.receive(into: $0, descriptors: &descriptors) }
        guard case .message(let count, _, _) = received else { throw TestFailure("no offer") }
        offer.removeLast(offer.count - count)
        func answer() throws -> [UInt8] {
            _ = offer.withUnsafeBytes { socket.send($0) }
            while case .some = try receiver.step({ _ in .accept }) {}
            var bytes = [UInt8](repeating: 0, count: 100)
            guard
                case .message(let count, _, _) = bytes.withUnsafeMutableBytes({
                    socket.receive(into: $0, descriptors: &descriptors)
                })
            else { throw TestFailure("no answer") }
            return [bytes[0]] + bytes[20..<count]
        }
        #expect(try answer() == [MessageKind.accept.rawValue, 0, 0, 0, 1, 0])
        var cancel: [UInt8] = []
        let transfer = try #require(offer[4..<20].withUnsafeBytes(TransferID.init))
        MessageHeader(kind: .cancel, transfer: transfer).write(to: &cancel)
        _ = cancel.withUnsafeBytes { socket.send($0) }
        #expect(try answer() == [MessageKind.decline.rawValue, 0, 0, 0, 1, DeclineReason.sealRefused.rawValue])
        offer[offer.count - 1] ^= 1
        #expect(try answer() == [MessageKind.decline.rawValue, 0, 0, 0, 1, DeclineReason.sealRefused.rawValue])
    }
}
