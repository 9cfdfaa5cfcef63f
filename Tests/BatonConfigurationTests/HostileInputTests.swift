import BatonConfiguration
import Testing

@Suite("Hostile input")
struct HostileInputTests {
    /// xorshift64*: the same inputs on every run.
    private struct Random: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state ^= state >> 12
            state ^= state << 25
            state ^= state >> 27
            return state &* 0x2545_F491_4F6C_DD1D
        }
    }

    private let seeds: [[UInt8]] = [
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nrest".utf8Array, "PROXY UNKNOWN\r\n".utf8Array,
        [0x0D, 0x0A, 0x0D, 0x0A, 0, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A, 0x21, 0x21, 0, 40] + [UInt8](0..<44),
        "\0EHLO x\r\nNOOP\r\nSTARTTLS\r\n".utf8Array, "\u{7}a CAPABILITY\r\nb STARTTLS\r\n".utf8Array,
        [5, 0, 0, 0, 8, 4, 210, 22, 48, 0, 0, 0, 8, 4, 210, 22, 47], [2, 0, 0, 0, 8, 4, 210, 22, 47],
        "GET /a/b?c HTTP/1.1\r\nHost: x\r\n\r\n".utf8Array,
    ]

    /// Seeds with bytes replaced, put in, taken out and cut.
    private func mutants(_ count: Int) -> [[UInt8]] {
        var random = Random(state: 0x9E37_79B9_7F4A_7C15)
        return (0..<count).map { _ in
            var bytes = seeds.randomElement(using: &random) ?? []
            for _ in 0..<Int.random(in: 0...4, using: &random) where !bytes.isEmpty {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[at] = .random(in: 0...255, using: &random)
                case 1: bytes.insert([0, 10, 13, 32, 255].randomElement(using: &random) ?? 0, at: at)
                case 2: bytes.remove(at: at)
                default: bytes.removeLast(Int.random(in: 0...at, using: &random))
                }
            }
            return bytes
        }
    }

    @Test("no header, however broken, traps or depends on how it was cut")
    func proxyHeader() {
        for bytes in mutants(20_000) { bytes.withUnsafeBytes { fuzzProxyHeader($0) } }
    }

    @Test("no plain part, however broken, traps or goes on after its end")
    func plainPreface() {
        for bytes in mutants(20_000) { bytes.withUnsafeBytes { fuzzPlainPreface($0) } }
    }

    @Test("no request, however broken, traps, and a longer piece of it never turns one decision into another")
    func requestHead() {
        for bytes in mutants(5_000) {
            var decided: RequestHead.Reading?
            for n in 0...bytes.count {
                let reading = RequestHead.read(Array(bytes[..<n]), limit: 40)
                if let decided, case .head(let head) = decided {
                    if case .head(let later) = reading {
                        #expect(later.line == head.line)
                    } else {
                        #expect(reading == .tooLong)
                    }
                } else if let decided {
                    #expect(reading == decided)
                } else if reading != .incomplete {
                    decided = reading
                }
            }
        }
    }

    @Test("no address text traps")
    func addresses() {
        for bytes in mutants(5_000) {
            let text = String(decoding: bytes, as: UTF8.self)
            if let address = try? Address(text) { #expect((try? Address(address.description)) == address) }
        }
    }
}
