import Testing

@testable import BatonConfiguration

@Suite("Times and sizes")
struct UnitTests {
    @Test(
        "a time is read and written",
        arguments: [("250ms", 250), ("5s", 5000), ("2m", 120_000), ("12h", 43_200_000), ("1d", 86_400_000)])
    func times(text: String, milliseconds: Int) {
        #expect(TimeSpan(text)?.duration == .milliseconds(milliseconds))
        #expect(TimeSpan(.milliseconds(milliseconds)).description == text)
    }

    @Test(
        "a time in any other form is refused",
        arguments: [
            "5", "s", "", "-5s", "+5s", "5 s", "1.5s", "5S", "1m30s", "99999999999999999999s", "9999999999999d", "٥s",
        ])
    func badTimes(text: String) {
        #expect(TimeSpan(text) == nil)
    }

    @Test("a size is read and written", arguments: [("1000", 1000), ("64K", 65536), ("1M", 1 << 20), ("2G", 2 << 30)])
    func sizes(text: String, bytes: Int) {
        #expect(ByteSize(text)?.bytes == bytes)
        #expect(ByteSize(bytes).description == text)
    }

    @Test(
        "a size in any other form is refused",
        arguments: ["K", "", "-1K", "+1", "1k", "1KB", "1.5M", "99999999999G", "1 K"])
    func badSizes(text: String) {
        #expect(ByteSize(text) == nil)
    }

    @Test("the edit distance counts letters put in, taken out, replaced and swapped")
    func editDistance() {
        #expect("role".editDistance(to: "role") == 0)
        #expect("rol".editDistance(to: "role") == 1)
        #expect("rloe".editDistance(to: "role") == 1)
        #expect("".editDistance(to: "role") == 4)
        #expect("tls".editDistance(to: "tcp") == 2)
    }
}
