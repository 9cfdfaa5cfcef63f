import BatonCore
import TLSRecords
import Testing

@testable import BatonConfiguration

@Suite("Rules about clients")
struct ClientRuleTests {
    private let key = Array(repeating: UInt8(7), count: 32)
    private let pin = "sha256/BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="

    private func rules(_ texts: [String]) throws -> ClientRules {
        ClientRules(try texts.map { try #require(ClientRule($0), "\($0)") })
    }

    private func verdict(_ texts: [String], _ identity: ClientIdentity?) throws -> ClientRules.Refusal? {
        let rules = try rules(texts)
        do throws(ClientRules.Refusal) {
            try rules.admit(identity)
            return nil
        } catch {
            return error
        }
    }

    private func lets(_ texts: [String], _ identity: ClientIdentity?) throws -> Bool {
        try verdict(texts, identity) == nil
    }

    @Test("without rules everybody is let in, and with any nobody whom none is about")
    func strict() throws {
        #expect(try lets([], nil))
        #expect(try lets([], ClientIdentity(commonNames: ["x"])))
        #expect(try verdict(["allow cn:a"], ClientIdentity(commonNames: ["x"])) == .unknown)
        #expect(try verdict(["deny cn:a"], ClientIdentity(commonNames: ["x"])) == .unknown)
        #expect(try verdict(["allow any"], nil) == .noCertificate)
        #expect(try lets(["allow any", "deny cn:a"], ClientIdentity(commonNames: ["x"])))
    }

    @Test("the most specific rule decides in whatever order they stand, and of equal ones the one that denies")
    func order() throws {
        let identity = ClientIdentity(
            commonNames: ["alice"], dnsNames: ["a.clients.example"], uris: ["spiffe://example.org/ns/prod/a"],
            addresses: [try #require(IPAddress("192.0.2.7"))], key: key, issuer: "CN=Example CA,O=Example")
        // Each outdoes all that stand before it.
        let ladder = [
            ["any"], ["issuer:CN=Example CA,O=Example"], ["uri:spiffe://example.org/*", "ip:192.0.2.0/24"],
            ["uri:spiffe://example.org/ns/*", "ip:192.0.2.0/28"],
            [
                "cn:alice", "dns:a.clients.example", "uri:spiffe://example.org/ns/prod/a", "ip:192.0.2.7",
                "ip:192.0.2.7/32",
            ], ["spki:\(pin)"],
        ]
        for (low, high) in zip(ladder, ladder.dropFirst()) {
            for weak in low {
                for strong in high where weak.prefix(3) == strong.prefix(3) || high != ladder[3] {
                    let texts = ["allow \(weak)", "deny \(strong)"]
                    for texts in [texts, texts.reversed()] {
                        #expect(try verdict(texts, identity) == .denied("deny \(strong)"), "\(texts)")
                    }
                    #expect(try lets(["deny \(weak)", "allow \(strong)"], identity), "\(weak) \(strong)")
                }
            }
        }
        for rung in ladder {
            for one in rung {
                for other in rung where one.prefix(3) != other.prefix(3) || one == other {
                    #expect(try !lets(["allow \(one)", "deny \(other)"], identity), "\(one) \(other)")
                }
            }
        }
    }

    @Test("a certificate of several names does not slip by one of them past a rule about another")
    func several() throws {
        let identity = ClientIdentity(uris: ["spiffe://x/prod/secret/b", "spiffe://x/prod/a"])
        #expect(try lets(["allow uri:spiffe://x/prod/*"], identity))
        // The longer pattern is about one name only.
        let texts = ["deny uri:spiffe://x/prod/*", "allow uri:spiffe://x/prod/secret/*"]
        #expect(try verdict(texts, identity) == .denied(texts[0]))
        #expect(try lets(texts, ClientIdentity(uris: ["spiffe://x/prod/secret/b"])))
        let hosts = ClientIdentity(dnsNames: ["a.very-long-name.example", "b.bad"])
        #expect(try !lets(["allow dns:*.very-long-name.example", "deny dns:*.bad"], hosts))
    }

    @Test(
        "a wildcard of DNS stands for one label, and names are compared as DNS does",
        arguments: [
            ("*.example.org", "a.example.org", true), ("*.example.org", "A.EXAMPLE.org", true),
            ("*.example.org", "example.org", false), ("*.example.org", "a.b.example.org", false),
            ("*.example.org", "aexample.org", false), ("*.example.org", ".example.org", false),
            ("*.example.org", "*.example.org", false), ("a.example.org", "*.example.org", false),
            ("a.Example.org", "a.example.ORG", true), ("a.example.org", "a.example.org.", false),
            ("xn--bcher-kva.example", "xn--bcher-kva.example", true),
            ("xn--bcher-kva.example", "bücher.example", false),
        ])
    func dns(rule: String, name: String, isLetIn: Bool) throws {
        #expect(try lets(["allow dns:\(rule)"], ClientIdentity(dnsNames: [name])) == isLetIn)
        // A common name is none of the DNS.
        #expect(try !lets(["allow dns:\(rule)"], ClientIdentity(commonNames: [name])))
    }

    @Test(
        "a pattern of URIs ends at a slash, and a URI that can be read in two ways is let in by nothing",
        arguments: [
            ("spiffe://example.org/ns/prod/*", "spiffe://example.org/ns/prod/a", true),
            ("spiffe://example.org/ns/prod/*", "SPIFFE://Example.ORG/ns/prod/a/b", true),
            ("spiffe://example.org/ns/prod/*", "spiffe://example.org/ns/prod", false),
            ("spiffe://example.org/ns/prod/*", "spiffe://example.org/ns/prod/", false),
            ("spiffe://example.org/ns/prod/*", "spiffe://example.org/ns/production/a", false),
            ("spiffe://example.org/ns/prod/*", "spiffe://example.org/ns/Prod/a", false),
            ("spiffe://example.org/ns/prod/*", "spiffe://example.org/ns/prod/?x", false),
            ("spiffe://example.org/*", "spiffe://example.org.evil/a", false),
            ("spiffe://example.org/*", "spiffe://example.org@evil/a", false),
            ("spiffe://example.org/*", "https://example.org/a", false),
            ("spiffe://example.org/a", "spiffe://example.org/a", true),
            ("spiffe://example.org/a", "spiffe://example.org/a/", false), ("urn:a:b", "URN:a:b", true),
        ])
    func uri(rule: String, name: String, isLetIn: Bool) throws {
        #expect(try lets(["allow uri:\(rule)"], ClientIdentity(uris: [name])) == isLetIn)
    }

    @Test(
        "a URI that hides what it is keeps its certificate out",
        arguments: [
            "spiffe://x/prod/../dev/a", "spiffe://x/./a", "spiffe://x//a", "spiffe://x/prod/%2e%2e/a",
            "spiffe://x/a%2Fb",
            "spiffe://x/a%00", "spiffe://x/%61", "spiffe://x/a\\b", "spiffe://x/a%4", "spiffe:///a", "/a", "a b:c",
        ])
    func hiding(uri: String) throws {
        let identity = ClientIdentity(commonNames: ["good"], uris: [uri])
        guard case .unclear = try verdict(["allow any", "allow cn:good"], identity) else {
            Issue.record("\(uri) is let in")
            return
        }
    }

    @Test("names of other kinds: common names, addresses, keys, issuers")
    func others() throws {
        let mapped = ClientIdentity(addresses: [try #require(IPAddress("::ffff:192.0.2.7"))])
        #expect(try lets(["allow ip:192.0.2.0/24"], mapped))
        #expect(try !lets(["allow ip:198.51.100.0/24"], mapped))
        #expect(
            try lets(["allow ip:2001:db8::/32"], ClientIdentity(addresses: [try #require(IPAddress("2001:db8::9"))])))
        #expect(try lets(["allow cn:Device 17"], ClientIdentity(commonNames: ["DEVICE 17"])))
        #expect(try !lets(["allow cn:Device"], ClientIdentity(commonNames: ["Device 17"])))
        #expect(try lets(["allow spki:\(pin)"], ClientIdentity(key: key)))
        #expect(try !lets(["allow spki:\(pin)"], ClientIdentity(key: key.dropLast() + [8])))
        let issuer = ClientIdentity(issuer: "CN=Example\\, Inc. CA,O=B\\C3\\BCcher")
        #expect(try lets(["allow issuer:cn=example\\2C  inc. ca, o=Bücher"], issuer))
        #expect(try !lets(["allow issuer:O=B\\C3\\BCcher,CN=Example\\, Inc. CA"], issuer))
        #expect(try !lets(["allow issuer:CN=Example\\, Inc. CA"], issuer))
        #expect(try !lets(["allow issuer:CN=x"], ClientIdentity(issuer: "")))
    }

    @Test(
        "what is no rule is refused, and not taken for another",
        arguments: [
            "", "allow", "permit any", "allow all", "allow cn:", "allow cn:a\u{0}b", "allow dns:*", "allow dns:*.",
            "allow dns:a.*.org", "allow dns:b*.org", "allow dns:bücher.example", "allow dns:10.0.0.1", "allow uri:a",
            "allow uri:spiffe://x/a*", "allow uri:spiffe://*", "allow uri:spiffe://*/a", "allow uri:spiffe://x/../*",
            "allow uri:urn:a/*", "allow ip:192.0.2.1/24", "allow ip:x", "allow spki:sha256/AAAA",
            "allow spki:sha1/AAAA",
            "allow spki:sha256/BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwd=", "allow issuer:Example", "allow issuer:=x",
            "allow issuer:CN=x\\", "allow email:a@b", "deny  any x",
        ])
    func wrong(text: String) {
        #expect(ClientRule(text) == nil)
    }

    @Test("what contradicts the rest of a configuration is said, and so is what is no rule")
    func configuration() throws {
        func problems(_ listener: String, _ more: String = "") -> [String] {
            do throws(ConfigurationError) {
                _ = try Configuration(file: "listeners: {a: {address: ':443', \(listener)}}\n\(more)")
                return []
            } catch {
                return error.problems.map { "\($0)" }
            }
        }
        let auth = "client-auth: require, client-ca: ca.pem"
        #expect(
            problems("\(auth), client-rules: [allow uri:spiffe://x/*, deny cn:mallory], client-verify-depth: 1").isEmpty
        )
        #expect(problems("client-rules: [allow any]").contains { $0.contains("need client-auth") })
        #expect(problems("client-verify-depth: 1").contains { $0.contains("needs client-auth") })
        #expect(
            problems("\(auth), role: client, peer-name: a, client-rules: [allow any]").contains {
                $0.contains("are for TLS clients")
            })
        #expect(problems("\(auth), tls: false, client-rules: [allow any]").contains { $0.contains("need TLS") })
        let wrong = problems("\(auth), client-rules: [allow sn:x]")
        #expect(wrong.contains { $0.contains("'allow sn:x'") && $0.contains("spki:sha256/BASE64") }, "\(wrong)")
        let route = "routes: {r: {target: echo, client-rules: [allow any]}}"
        #expect(problems("", route).contains { $0.contains("let nobody in") })
        #expect(problems(auth, route).isEmpty)
    }

    @Test("rules that differ, or stand on another route, have another digest")
    func digests() throws {
        let all = try [
            rules(["allow any"]).digest(of: "a"), rules(["allow any"]).digest(of: "b"),
            rules(["deny any"]).digest(of: "a"),
            rules(["allow any", "allow cn:x"]).digest(of: "a"), rules([]).digest(of: "a"),
        ]
        #expect(Set(all).count == all.count)
        #expect(try rules(["allow any"]).digest(of: "a") == all[0])
    }

    @Test("what is told of certificates survives its way between processes, and what is too long is left out")
    func told() throws {
        var told = CertificateExtensions()
        #expect(told.encoded.isEmpty && CertificateExtensions([]) == told)
        told.signature = "RSA-SHA256"
        told.key = "RSA2048"
        told.certificate = Array(repeating: 3, count: 1_500)
        told.names = CertificateExtensions.names(
            [
                .dns("a"), .uri("spiffe://x/a"), .address("::1"), .email("a@b"),
                .uri("u:" + String(repeating: "x", count: 300)),
            ])
        #expect(told.names == ["URI:spiffe://x/a", "DNS:a", "IP:::1", "email:a@b"])
        #expect(CertificateExtensions(told.encoded) == told)
        // What a later version adds is passed over.
        #expect(CertificateExtensions([99, 0, 1, 5] + told.encoded) == told)
        for count in 1..<told.encoded.count { _ = CertificateExtensions(Array(told.encoded.prefix(count))) }
        #expect(CertificateExtensions([1, 0]) == nil && CertificateExtensions([1, 0, 9, 0]) == nil)
        told.certificate = Array(repeating: 3, count: CertificateExtensions.certificateLimit + 1)
        #expect(CertificateExtensions(told.encoded)?.certificate == nil)
    }
}
