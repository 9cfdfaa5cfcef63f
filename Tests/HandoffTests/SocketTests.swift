import Glibc
import Testing

@testable import Handoff

@Suite("a handoff socket")
struct SocketTests {
    private func receive(_ socket: borrowing HandoffSocket, room: Int = 64) -> (String, Int) {
        var descriptors = DescriptorSet()
        var bytes = [UInt8](repeating: 0, count: room)
        let result = bytes.withUnsafeMutableBytes { socket.receive(into: $0, descriptors: &descriptors) }
        switch result {
        case .message(let count, _, _): return (String(decoding: bytes[..<count], as: UTF8.self), descriptors.count)
        case .blocked: return ("<blocked>", 0)
        case .ended: return ("<ended>", 0)
        case .failed(let code): return ("<\(code)>", 0)
        }
    }

    private func send(_ text: String, _ socket: borrowing HandoffSocket) -> HandoffSocket.Sending {
        Array(text.utf8).withUnsafeBytes { socket.send($0) }
    }

    @Test("what was sent before the end is read before the end, even when the one who closed had not read everything")
    func unreadAtClose() throws {
        let (first, second) = socketPair(Int32(SOCK_SEQPACKET.rawValue))
        let reader = try HandoffSocket.adopting(second)
        do {
            let closing = try HandoffSocket.adopting(first)
            #expect(send("unread", reader) == .sent)
            #expect(send("one", closing) == .sent)
            #expect(send("two", closing) == .sent)
        }
        #expect(receive(reader) == ("one", 0))
        #expect(receive(reader) == ("two", 0))
        #expect(receive(reader) == ("<ended>", 0))
        #expect(send("late", reader) == .ended)
    }

    @Test("receiving waits by itself only far from the time limit, and never on a socket that was made non-blocking")
    func waiting() throws {
        let (first, second) = socketPair(Int32(SOCK_SEQPACKET.rawValue))
        #expect(fcntl(second, F_SETFL, O_NONBLOCK) == 0)
        let blocking = try HandoffSocket.adopting(first)
        let nonBlocking = try HandoffSocket.adopting(second)
        let deadlines = [generously(), .immediate, .after(.milliseconds(900))]
        var answers: [Bool] = []
        for deadline in deadlines { answers.append(blocking.mayWait(until: deadline)) }
        #expect(answers == [true, false, false])
        let answer = nonBlocking.mayWait(until: generously())
        #expect(!answer)
    }

    @Test("a message longer than the room for it is refused, and its descriptors are closed")
    func longMessage() throws {
        let (first, second) = socketPair(Int32(SOCK_SEQPACKET.rawValue))
        let sender = try HandoffSocket.adopting(first)
        let reader = try HandoffSocket.adopting(second)
        let (near, far) = socketPair()
        let result = [near].withUnsafeBufferPointer { descriptors in
            Array("too long".utf8).withUnsafeBytes { sender.send($0, descriptors: descriptors) }
        }
        #expect(result == .sent)
        close(near)
        #expect(receive(reader, room: 4) == ("<\(EMSGSIZE)>", 0))
        #expect(isAtEnd(far))
        close(far)
    }

    @Test("more descriptors than a message can carry are refused by the sender")
    func tooManyDescriptors() throws {
        let (first, second) = socketPair(Int32(SOCK_SEQPACKET.rawValue))
        let sender = try HandoffSocket.adopting(first)
        let descriptors = [Int32](repeating: second, count: 254)
        let result = descriptors.withUnsafeBufferPointer { descriptors in
            [1].withUnsafeBytes { sender.send($0, descriptors: descriptors) }
        }
        #expect(result == .failed(EINVAL))
        close(second)
    }

    @Test("an urgent message goes out although the send buffer is full")
    func urgent() throws {
        let (first, second) = socketPair(Int32(SOCK_SEQPACKET.rawValue))
        let sender = try HandoffSocket.adopting(first)
        let reader = try HandoffSocket.adopting(second)
        let large = [UInt8](repeating: 65, count: 40_000)
        var count = 0
        while large.withUnsafeBytes({ sender.send($0) }) == .sent { count += 1 }
        #expect(count > 0)
        #expect(send("ordinary", sender) == .blocked)
        #expect(Array("urgent".utf8).withUnsafeBytes { sender.sendUrgently($0) } == .sent)
        for _ in 0..<count { #expect(receive(reader, room: 40_000).0.utf8.count == 40_000) }
        #expect(receive(reader) == ("urgent", 0))
    }

    @Test("the write position of a TCP socket rises by what is written, read or not")
    func writePosition() throws {
        let (near, far) = tcpPair()
        defer { close(far) }
        var sockets = DescriptorSet(owning: near)
        sockets.recordWritePositions()
        #expect(sockets.writePosition(at: 0) == 0)
        let stands1 = sockets.standsStill()
        #expect(stands1)
        let bytes = [UInt8](repeating: 1, count: 100_000)
        let written = Glibc.send(near, bytes, bytes.count, Int32(MSG_DONTWAIT))
        #expect(written > 0)
        let stands2 = sockets.standsStill()
        #expect(!stands2)
        sockets.recordWritePositions()
        #expect(sockets.writePosition(at: 0) == UInt64(written))
        // The peer takes some of it: the position stays.
        var taken = [UInt8](repeating: 0, count: 1000)
        #expect(recv(far, &taken, 1000, Int32(MSG_WAITALL)) == 1000)
        let stands3 = sockets.standsStill()
        #expect(stands3)
    }

    @Test("a socket that is no TCP socket has no write position, and nothing can be proved of it")
    func noWritePosition() {
        let (near, far) = socketPair()
        var sockets = DescriptorSet(owning: near)
        sockets.recordWritePositions()
        #expect(sockets.writePosition(at: 0) == nil)
        let stands4 = sockets.standsStill()
        #expect(!stands4)
        close(far)
    }
}
