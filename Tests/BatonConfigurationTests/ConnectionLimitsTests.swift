import BatonConfiguration
import BatonCore
import Testing

@Suite("Connection limits")
struct ConnectionLimitsTests {
    private func ip(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    @Test("the total holds over all sources, and a released place is free again")
    func total() throws {
        var limits = ConnectionLimits(total: 2, perSource: nil)
        try limits.admit(from: ip("192.0.2.1"))
        try limits.admit(from: nil)
        #expect(throws: ConnectionLimits.Refusal.total) { try limits.admit(from: ip("192.0.2.3")) }
        limits.release(from: nil)
        try limits.admit(from: ip("192.0.2.3"))
        #expect(limits.count == 2)
    }

    @Test("one /64 is one source, and so is an IPv4 address in its mapped form")
    func groups() throws {
        var limits = ConnectionLimits(total: 100, perSource: 1)
        try limits.admit(from: ip("2001:db8::1"))
        #expect(throws: ConnectionLimits.Refusal.perSource) { try limits.admit(from: ip("2001:db8::ffff:2")) }
        try limits.admit(from: ip("2001:db8:0:1::1"))
        try limits.admit(from: ip("192.0.2.1"))
        #expect(throws: ConnectionLimits.Refusal.perSource) { try limits.admit(from: ip("::ffff:192.0.2.1")) }
        try limits.admit(from: ip("192.0.2.2"))
        #expect(limits.count == 4)
    }

    @Test("a refused connection is not counted")
    func refusal() throws {
        var limits = ConnectionLimits(total: 10, perSource: 1)
        let source = try ip("192.0.2.1")
        try limits.admit(from: source)
        for _ in 0..<5 { #expect(throws: ConnectionLimits.Refusal.perSource) { try limits.admit(from: source) } }
        #expect(limits.count == 1 && limits.count(from: source) == 1)
        limits.release(from: source)
        #expect(limits.count == 0 && limits.sourceCount == 0)
    }

    @Test("a connection whose source turns out to have too many is counted until it has been closed")
    func attribution() throws {
        var limits = ConnectionLimits(total: 2, perSource: 1)
        let source = try ip("192.0.2.1")
        try limits.admit(from: nil)
        try limits.attribute(to: source)
        try limits.admit(from: nil)
        #expect(throws: ConnectionLimits.Refusal.perSource) { try limits.attribute(to: source) }
        #expect(limits.count == 2 && limits.count(from: source) == 1)
        #expect(throws: ConnectionLimits.Refusal.total) { try limits.admit(from: nil) }
        limits.release(from: nil)
        #expect(limits.count == 1)
    }

    @Test("a connection from another process is counted beyond the limit, never refused")
    func adoption() throws {
        var limits = ConnectionLimits(total: 1, perSource: 1)
        let source = try ip("192.0.2.1")
        for _ in 0..<3 { limits.adopt(from: source) }
        #expect(limits.count == 3 && limits.count(from: source) == 3)
        #expect(throws: ConnectionLimits.Refusal.total) { try limits.admit(from: source) }
    }

    @Test("memory follows the open connections, not the sources ever seen")
    func memory() throws {
        var limits = ConnectionLimits(total: 10, perSource: 5)
        for i in 0..<10_000 as Range<UInt32> {
            try limits.admit(from: .v4(i))
            limits.release(from: .v4(i))
        }
        #expect(limits.sourceCount == 0)
    }

    @Test("one release too many does not underflow")
    func underflow() {
        var limits = ConnectionLimits(total: 1, perSource: 1)
        limits.release(from: .v4(1))
        limits.release(from: nil)
        #expect(limits.count == 0)
    }
}
