import SessionEngine
import Testing

@testable import BatonServer

@Suite("The state of a session that travels")
struct SessionStateTests {
    private static let half = {
        var state = SessionState(received: [1, 2, 3])
        _ = Array("GET /half HTTP/1.1\r\nConn".utf8).withUnsafeBytes { state.scanner.next(in: $0, limit: 1_000) }
        return state
    }()

    @Test("is read as it was written, with half a request of the built-in page and without")
    func whole() throws {
        let half = try #require(SessionState(Self.half.encoded))
        #expect(half.received == [1, 2, 3])
        #expect(half.scanner == Self.half.scanner && !half.scanner.isAtStart)
        let other = SessionState(received: [4])
        let read = try #require(SessionState(other.encoded))
        #expect(read.received == [4] && read.scanner.isAtStart)
        #expect(SessionState().encoded == [])
    }

    @Test("has the version that older programs read, but within a request, which they would not go on with")
    func versions() {
        #expect(SessionState(received: [4]).encoded == [2, 0, 0, 0, 1, 4, 0])
        #expect(Self.half.encoded.first == 3)
        var disguised = Self.half.encoded
        disguised[0] = 2
        #expect(SessionState(disguised) == nil)
    }

    @Test("is refused when anything is lacking, is too much, or can be no scanner's")
    func broken() {
        let bytes = Self.half.encoded
        for count in 1..<bytes.count { #expect(SessionState(Array(bytes[..<count])) == nil, "\(count) bytes") }
        #expect(SessionState(bytes + [0]) == nil)
        var impossible = bytes
        impossible[bytes.count - 8] = 13
        #expect(SessionState(impossible) == nil)
    }
}
