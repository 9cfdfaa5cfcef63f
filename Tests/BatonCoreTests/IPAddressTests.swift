import BatonCore
import Testing

@Suite("An IP address")
struct IPAddressTests {
    @Test("an IPv4-mapped address and its IPv4 address turn into each other")
    func mapping() throws {
        let v4 = try #require(IPAddress("192.0.2.1"))
        let mapped = try #require(IPAddress("::ffff:192.0.2.1"))
        #expect(v4.mapped == mapped)
        #expect(mapped.unmapped == v4)
        #expect(IPAddress("::1")?.unmapped == IPAddress("::1"))
        #expect(mapped.octets.count == 16 && v4.octets == [192, 0, 2, 1])
        #expect(mapped.family == .ipv6 && v4.family == .ipv4)
    }

    @Test("a NUL hides nothing", arguments: ["1.2.3.4\0", "::1\0.example"])
    func nul(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test(
        "comes back from its octets",
        arguments: ["192.0.2.1", "0.0.0.0", "255.1.0.254", "2001:db8::ff00:1", "::", "fe80::1:2:3:4", "::ffff:1.2.3.4"])
    func octets(text: String) throws {
        let address = try #require(IPAddress(text))
        #expect(IPAddress(octets: address.octets) == address)
        #expect(address.octets.count == address.family.addressLength)
        #expect(address.description == text)
    }

    @Test("is made of 4 or 16 octets alone", arguments: 0...20)
    func length(count: Int) {
        let address = IPAddress(octets: [UInt8](repeating: 1, count: count))
        #expect((address != nil) == (count == 4 || count == 16))
    }

    @Test(
        "is link-local from fe80:: to febf:: and nowhere else",
        arguments: [
            ("fe80::1", true), ("febf:ffff::", true), ("fec0::1", false), ("fe7f::1", false), ("ff80::1", false),
            ("169.254.0.1", false),
        ])
    func linkLocal(text: String, expected: Bool) throws {
        #expect(try #require(IPAddress(text)).isLinkLocal == expected)
    }
}
