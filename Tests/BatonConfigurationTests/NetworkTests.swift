import BatonCore
import Testing

@testable import BatonConfiguration

@Suite("A network")
struct NetworkTests {
    @Test(
        "has the addresses that begin with its bits",
        arguments: [
            ("10.0.0.0/8", "10.255.1.2", true), ("10.0.0.0/8", "11.0.0.0", false), ("10.0.0.7", "10.0.0.7", true),
            ("10.0.0.7", "10.0.0.6", false), ("0.0.0.0/0", "1.2.3.4", true), ("0.0.0.0/0", "::1", false),
            ("192.0.2.128/25", "192.0.2.127", false), ("192.0.2.128/25", "192.0.2.129", true),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true), ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false), ("::/0", "2001:db8::", true), ("::1/128", "::1", true),
            ("::/0", "10.0.0.1", false),
        ])
    func contains(network: String, address: String, isThere: Bool) throws {
        let network = try #require(Network(network))
        #expect(network.contains(try #require(IPAddress(address))) == isThere)
        #expect(Network("\(network)") == network)
    }

    @Test(
        "is refused if it is written in a way that may mean another",
        arguments: [
            "", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/+8", "10.0.0.0/8/8", "::1/64", "::/129",
            "a/8",
            "::ffff:10.0.0.0/104", "10.0.0.0/08888",
        ])
    func refused(text: String) {
        #expect(Network(text) == nil)
    }
}

@Suite("The common name in a subject")
struct CommonNameTests {
    @Test(
        "is read with its escapes undone",
        arguments: [
            ("CN=device-17", "device-17"), ("OU=x,CN=a\\,b\\+c,O=d", "a,b+c"), ("O=a\\,CN=evil,CN=good", "good"),
            ("CN=\\C3\\A9t\\C3\\A9", "été"), ("O=x+CN=multi", "multi"), ("cn=lower,O=x", "lower"),
            ("CN=first,CN=second", "first"),
        ])
    func read(subject: String, name: String) {
        #expect(CommonName(subject: subject, isCut: false)?.text == name)
    }

    @Test(
        "is none rather than a wrong one",
        arguments: ["", "O=x", "CN=", "CN=#0c03", "CN=\\FF\\FE", "CN=a\\00b", "CN", "O=CN"])
    func none(subject: String) {
        #expect(CommonName(subject: subject, isCut: false) == nil)
    }

    @Test("is not told where it may have been cut")
    func cut() {
        #expect(CommonName(subject: "CN=admin", isCut: true) == nil)
        #expect(CommonName(subject: "CN=admin,O=x", isCut: true)?.text == "admin")
    }
}
