import BatonConfiguration
import BatonCore
import HostMigration
import Testing

@testable import BatonServer

@Suite("The link between hosts")
struct LinkTests {
    @Test("a greeting is read as it was written, with what later versions append, and never from less")
    func hello() {
        var hop = NextHop()
        hop.ipv4 = IPAddress(octets: [192, 0, 2, 3])
        let hello = LinkHello(hop: hop, takesConnections: true)
        let bytes = hello.encoded
        #expect(bytes.withUnsafeBytes { LinkHello($0) } == hello)
        #expect((bytes + [1, 2, 3]).withUnsafeBytes { LinkHello($0) } == hello)
        for length in 0..<bytes.count { #expect(bytes.prefix(length).withUnsafeBytes { LinkHello($0) } == nil) }
    }

    @Test("hosts speak the highest version they have in common, and none if there is none")
    func versions() {
        var ours = LinkHello(hop: NextHop(), takesConnections: true)
        var theirs = ours
        ours.versions = 1...3
        theirs.versions = 2...5
        #expect(ours.common(with: theirs) == 3)
        #expect(theirs.common(with: ours) == 3)
        theirs.versions = 4...5
        #expect(ours.common(with: theirs) == nil)
    }

    @Test("a limit on bandwidth holds over time, lets a burst pass, and never lends for ever")
    func bandwidth() {
        var bucket = TokenBucket(rate: 1_000_000, now: 0)
        var sent = 0
        var now: UInt64 = 0
        while now < 10_000_000_000 {
            let delay = bucket.delay(now: now)
            if delay == 0 {
                bucket.spend(50_000)
                sent += 50_000
            } else {
                now += delay
            }
        }
        #expect((10_000_000...10_200_000).contains(sent))
        #expect(bucket.delay(now: 0) <= 60_000_000)
        var unlimited = TokenBucket(rate: nil, now: 0)
        unlimited.spend(1 << 40)
        #expect(unlimited.delay(now: 0) == 0)
    }
}
