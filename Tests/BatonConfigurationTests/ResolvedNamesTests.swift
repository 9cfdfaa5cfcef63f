import BatonCore
import Testing

@testable import BatonConfiguration

@Suite("The names of upstreams")
struct ResolvedNamesTests {
    private static let second: UInt64 = 1_000_000_000
    private let web = NameQuestion.host("web.example")
    private let service = NameQuestion.service("_http._tcp.example")

    private func names(_ interval: Duration? = nil) -> ResolvedNames {
        var names = ResolvedNames()
        names.want([web: interval])
        #expect(names.takeDue(at: 5) == [web])
        return names
    }

    private func addresses(_ texts: String..., ttl: UInt32?) -> ResolvedNames.Answer {
        .addresses(texts.compactMap { IPAddress($0) }, ttl: ttl)
    }

    @Test(
        "are asked for again when their TTL is over, within bounds, or as the setting says",
        arguments: [(60, nil, 60), (0, nil, 1), (86_400, nil, 3_600), (nil, nil, 30), (60, 5, 5), (nil, 5, 5)]
            as [(UInt32?, Int64?, UInt64)])
    func ttl(ttl: UInt32?, interval: Int64?, expected: UInt64) {
        var names = names(interval.map { .seconds($0) })
        #expect(names.nextDue == nil && names.takeDue(at: .max).isEmpty && !names.areSettled)
        #expect(names.answered(web, addresses("192.0.2.1", ttl: ttl), at: 5) == .resolved(["192.0.2.1"]))
        #expect(names.areSettled && names.nextDue == 5 + expected * Self.second)
        #expect(names.takeDue(at: 4 + expected * Self.second).isEmpty)
        #expect(names.takeDue(at: 5 + expected * Self.second) == [web])
    }

    @Test("keep the last good answer while there is no other, and are asked for again sooner and sooner no more")
    func failure() {
        var names = names()
        _ = names.answered(web, addresses("192.0.2.1", ttl: 1), at: 0)
        var now = Self.second
        for (count, wait) in [1, 2, 4, 8, 16, 30, 30].enumerated() {
            #expect(names.takeDue(at: now) == [web])
            let change = names.answered(web, .failure("no answer"), at: now)
            #expect(change == (count == 0 ? .failed("no answer") : nil))
            #expect(names.known.hosts == ["web.example": ["192.0.2.1"]])
            #expect(names.nextDue == now + UInt64(wait) * Self.second)
            now += UInt64(wait) * Self.second
        }
        #expect(names.takeDue(at: now) == [web])
        #expect(names.answered(web, .addresses([], ttl: 9), at: now) == nil)
        #expect(names.known.hosts["web.example"] == ["192.0.2.1"])
    }

    @Test("tell of an answer when it is another, not when it is the same in another order")
    func changes() {
        var names = names()
        #expect(
            names.answered(web, addresses("192.0.2.1", "192.0.2.2", ttl: 1), at: 0)
                == .resolved(["192.0.2.1", "192.0.2.2"]))
        #expect(names.answered(web, addresses("192.0.2.2", "192.0.2.1", ttl: 1), at: 0) == nil)
        #expect(names.known.hosts["web.example"] == ["192.0.2.1", "192.0.2.2"])
        #expect(names.answered(web, addresses("192.0.2.2", ttl: 1), at: 0) == .resolved(["192.0.2.2"]))
    }

    @Test("that are wanted no more are forgotten, and an answer that comes late is not for anybody")
    func forgotten() {
        var names = names()
        _ = names.answered(web, addresses("192.0.2.1", ttl: 1), at: 0)
        names.want([:])
        #expect(names.known == KnownNames() && names.nextDue == nil)
        #expect(names.answered(web, addresses("192.0.2.1", ttl: 1), at: 0) == nil)
        #expect(names.known == KnownNames())
    }

    @Test("an answer of the wrong kind is none, and a huge one is cut")
    func wrongAnswers() {
        var names = names()
        #expect(
            names.answered(web, .targets([.init(priority: 1, weight: 1, port: 1, host: "a")], ttl: 1), at: 0) != nil)
        #expect(names.known == KnownNames())
        let many = (0..<200).map { IPAddress.v4(0x0A00_0000 + $0) }
        _ = names.answered(web, .addresses(many, ttl: 1), at: 0)
        #expect(names.known.hosts["web.example"]?.count == ResolvedNames.maxAnswer)
    }

    // MARK: Endpoints

    private func upstream(_ addresses: String...) throws -> Upstream {
        var upstream = Upstream()
        upstream.addresses = try addresses.map { try #require(UpstreamAddress($0)) }
        return upstream
    }

    @Test("a name stands for all its addresses with its weight and its TLS name, and for itself until it is resolved")
    func hosts() throws {
        let upstream = try upstream("web.example:80 weight=3", "192.0.2.9:81", "unix:/run/a", "192.0.2.1:80")
        #expect(
            upstream.endpoints(KnownNames()).map(\.name) == [
                "web.example:80", "192.0.2.9:81", "unix:/run/a", "192.0.2.1:80",
            ])
        var known = KnownNames()
        known.hosts["web.example"] = ["192.0.2.1", "2001:db8::1"]
        let endpoints = upstream.endpoints(known)
        // The same address is there once.
        #expect(endpoints.map(\.name) == ["192.0.2.1:80", "[2001:db8::1]:80", "192.0.2.9:81", "unix:/run/a"])
        #expect(endpoints.map(\.weight) == [3, 3, 1, 1] && endpoints[0].host == .name("web.example"))
    }

    @Test("SRV records give ports, priorities as ranks, and weights; a target that is no host name is passed over")
    func services() throws {
        let upstream = try upstream("srv:_http._tcp.example weight=2")
        #expect(upstream.endpoints(KnownNames()).isEmpty)
        var known = KnownNames()
        known.services["_http._tcp.example"] = [
            .init(priority: 10, weight: 5, port: 8080, host: "a.example"),
            .init(priority: 10, weight: 0, port: 8081, host: "b.example"),
            .init(priority: 20, weight: 1, port: 8082, host: "c.example"),
            .init(priority: 20, weight: 1, port: 8083, host: "bad host/"),
        ]
        known.hosts = ["a.example": ["192.0.2.1"], "b.example": ["192.0.2.2", "192.0.2.3"]]
        let endpoints = upstream.endpoints(known)
        #expect(endpoints.map(\.name) == ["192.0.2.1:8080", "192.0.2.2:8081", "192.0.2.3:8081", "c.example:8082"])
        #expect(endpoints.map(\.rank) == [0, 0, 0, 1] && endpoints.map(\.weight) == [10, 2, 2, 2])
    }

    @Test("the hosts that records lead to are asked for as well, as often as the most eager upstream wants")
    func questions() throws {
        var configuration = Configuration()
        configuration.upstreams["a"] = try upstream("srv:_http._tcp.example", "web.example:80", "192.0.2.1:80")
        configuration.upstreams["b"] = try upstream("web.example:81")
        configuration.upstreams["b"]?.resolveEvery = .seconds(7)
        #expect(configuration.nameQuestions(KnownNames()) == [service: nil, web: .seconds(7)])
        var known = KnownNames()
        known.services["_http._tcp.example"] = [.init(priority: 1, weight: 1, port: 1, host: "T.example.")]
        #expect(Set(configuration.nameQuestions(known).keys) == [service, web, .host("t.example")])
    }

    @Test(
        "an address is read with its weight, and written as it is read",
        arguments: [
            "192.0.2.1:80", "web.example:80 weight=0", "unix:/run/a weight=256", "srv:_x._tcp.example", "[::1]:1",
        ])
    func address(text: String) throws { #expect("\(try #require(UpstreamAddress(text)))" == text) }

    @Test(
        "nothing else is an address",
        arguments: [
            "", "web.example", "a:1 weight=257", "a:1 weight=-1", "a:1 weight=", "a:1 weight=1x", "a:1 wait=1",
            "a:1 weight=1 weight=1", ":80", "a:0", "srv:", "srv:_http._tcp.example:80", "srv:a b", "unix:a",
        ])
    func notAddress(text: String) { #expect(UpstreamAddress(text) == nil) }
}
