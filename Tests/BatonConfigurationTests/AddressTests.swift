import BatonConfiguration
import BatonCore
import Testing

@Suite("An address")
struct AddressTests {
    @Test(
        "reads every form and writes them back",
        arguments: [
            "192.0.2.1:443", "[2001:db8::1]:443", ":0", ":65535", "localhost:80", "a_b.example.com:1",
            "unix:/run/a b.sock", "[fe80::1%eth0]:443", "[febf::1%3]:1",
        ])
    func roundTrip(text: String) throws {
        #expect(try Address(text).description == text)
    }

    @Test("is put in one spelling")
    func canonical() throws {
        #expect(try Address("EXAMPLE.com.:1") == Address("example.com:1"))
        #expect(try Address("[2001:DB8:0::1]:1").description == "[2001:db8::1]:1")
        #expect(try Address("[::ffff:192.0.2.1]:1").description == "[::ffff:192.0.2.1]:1")
        #expect(try Address("1.2.3.4:007") == Address("1.2.3.4:7"))
    }

    @Test(
        "is refused with the reason",
        arguments: [
            ("", AddressError.noPort), ("localhost", .noPort), ("localhost:", .badPort), ("localhost:+80", .badPort),
            ("localhost: 80", .badPort), ("localhost:65536", .badPort), ("localhost:0x50", .badPort),
            ("a:99999999999999999999", .badPort), ("::1:80", .ipv6NeedsBrackets), ("[::1]", .noPort),
            ("[::1:80", .badIPv6), ("[1.2.3.4]:80", .badIPv6), ("[fe80::1%]:80", .badZone), ("[]:80", .badIPv6),
            ("[2001:db8::1%eth0]:80", .badZone), ("[fe80::1%a/b]:80", .badZone), ("[1.2.3.4%lo]:80", .badIPv6),
            ("[fe80::1%0123456789abcdef]:80", .badZone), ("fe80::1%lo:80", .ipv6NeedsBrackets),
            ("[", .noPort), ("1.2.3:80", .badHost), ("1.2.3.256:80", .badHost), ("01.2.3.4.:80", .badHost),
            ("-a:80", .badHost), ("a..b:80", .badHost), ("a b:80", .badHost), ("*.example.com:80", .badHost),
            (".:80", .badHost), ("unix:", .pathNotAbsolute), ("unix:run/a", .pathNotAbsolute),
            ("unix:/a\0b", .pathNotAbsolute), ("unix:/" + String(repeating: "a", count: 107), .pathTooLong),
            (String(repeating: "a", count: 64) + ":1", .badHost),
        ])
    func refused(text: String, reason: AddressError) {
        #expect(throws: reason) { try Address(text) }
    }

    @Test("can be connected to when it names a host and a port")
    func connecting() throws {
        #expect(try !Address(":443").canBeConnectedTo)
        #expect(try !Address("localhost:0").canBeConnectedTo)
        #expect(try Address("localhost:443").canBeConnectedTo)
        #expect(try Address("unix:/run/x").canBeConnectedTo)
    }
}
