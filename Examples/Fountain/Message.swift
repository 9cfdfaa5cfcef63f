/// What the two sides say to each other, a datagram each. Integers are big-endian. All begin with `FTN1`, a kind (1 byte), and the
/// session's number (8 bytes), which the receiver has drawn.
enum Message {
    /// From a receiver: it wants the file. As long as an offer, so that a forged one is answered with no more than it took.
    case request(session: UInt64)
    /// From a receiver: how far it is, with the cookie of the offer, which shows that it is where it says it is.
    case report(session: UInt64, Report)
    /// From a receiver: it has everything, or wants no more.
    case stop(session: UInt64, cookie: UInt64)

    struct Report {
        let cookie: UInt64
        /// The highest number of a packet that has come, and how many have come.
        let highest: UInt32
        let received: UInt32
        /// All generations before this one are decoded, and of those behind it (bit 0: the next) these are.
        let base: UInt32
        let decoded: UInt64

        /// The receiver has got nothing yet: the one that answers an offer.
        var isFirst: Bool { (highest, received, base, decoded) == (0, 0, 0, 0) }
    }

    static let requestSize = 64
    private static let magic: [UInt8] = Array("FTN1".utf8)

    /// - Returns: `nil` for what is none.
    init?(_ bytes: ArraySlice<UInt8>) {
        var rest = bytes
        func number<T: FixedWidthInteger>(_ type: T.Type) -> T? {
            guard rest.count >= T.bitWidth / 8 else { return nil }
            defer { rest.removeFirst(T.bitWidth / 8) }
            return rest.prefix(T.bitWidth / 8).reduce(0) { $0 << 8 | T($1) }
        }
        guard rest.starts(with: Self.magic) else { return nil }
        rest.removeFirst(4)
        guard let kind = rest.popFirst(), let session = number(UInt64.self) else { return nil }
        switch kind {
        case 1:
            guard bytes.count >= Self.requestSize else { return nil }
            self = .request(session: session)
        case 4:
            guard let cookie = number(UInt64.self), let highest = number(UInt32.self),
                let received = number(UInt32.self),
                let base = number(UInt32.self), let decoded = number(UInt64.self)
            else { return nil }
            let report = Report(cookie: cookie, highest: highest, received: received, base: base, decoded: decoded)
            self = .report(session: session, report)
        case 5:
            guard let cookie = number(UInt64.self) else { return nil }
            self = .stop(session: session, cookie: cookie)
        default: return nil
        }
    }

    /// Kind 2: the cookie (8), the file's length (8), bytes of a symbol (2), symbols of a generation (2).
    static func offer(_ session: UInt64, cookie: UInt64, length: Int) -> [UInt8] {
        head(2, session) + bytes(cookie) + bytes(UInt64(length)) + bytes(UInt16(SourceFile.symbolSize))
            + bytes(UInt16(SourceFile.symbolsPerGeneration))
    }

    /// Kind 3: the packet's number in the session (4), its generation (4), its seed (4), and its content.
    static func packet(_ session: UInt64, number: UInt32, generation: UInt32, seed: UInt32, _ content: [UInt8])
        -> [UInt8]
    {
        head(3, session) + bytes(number) + bytes(generation) + bytes(seed) + content
    }

    private static func head(_ kind: UInt8, _ session: UInt64) -> [UInt8] { magic + [kind] + bytes(session) }

    private static func bytes<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }
}
