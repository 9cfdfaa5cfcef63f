internal import BatonCore
internal import TLSRecords

/// One line of an NSS key log: label, client random, secret. The secret goes from hexadecimal straight into memory that
/// is zeroed; no string of it is made.
struct KeyLogLine: ~Copyable {
    enum Label {
        /// The master secret of TLS 1.2.
        case master
        case clientTraffic
        case serverTraffic
        case exporter
    }

    let label: Label
    let clientRandom: [UInt8]
    let secret: SecretBytes

    /// `nil` if the line is malformed or of a label that is of no use here.
    init?(_ line: UnsafeRawBufferPointer) {
        var fields = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        while let last = fields.last?.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: "\r") {
            fields[fields.count - 1] = fields[fields.count - 1].dropLast()
        }
        guard fields.count == 3, let label = KeyLogLine.label(fields[0]) else { return nil }
        let (random, hex) = (fields[1], fields[2])
        guard random.count == 64, (64...128).contains(hex.count), hex.count % 2 == 0,
            random.allSatisfy({ KeyLogLine.digit($0) != nil }),
            hex.allSatisfy({ KeyLogLine.digit($0) != nil })
        else { return nil }
        self.label = label
        var clientRandom = [UInt8](repeating: 0, count: 32)
        clientRandom.withUnsafeMutableBytes { KeyLogLine.decode(UnsafeRawBufferPointer(rebasing: random), to: $0) }
        self.clientRandom = clientRandom
        secret = SecretBytes(count: hex.count / 2) {
            KeyLogLine.decode(UnsafeRawBufferPointer(rebasing: hex), to: $0)
        }
    }

    private static func label(_ text: Slice<UnsafeRawBufferPointer>) -> Label? {
        if text.elementsEqual("CLIENT_RANDOM".utf8) { return .master }
        if text.elementsEqual("CLIENT_TRAFFIC_SECRET_0".utf8) { return .clientTraffic }
        if text.elementsEqual("SERVER_TRAFFIC_SECRET_0".utf8) { return .serverTraffic }
        if text.elementsEqual("EXPORTER_SECRET".utf8) { return .exporter }
        return nil
    }

    /// `hex` holds digits only, two for each byte of `target`.
    private static func decode(_ hex: UnsafeRawBufferPointer, to target: UnsafeMutableRawBufferPointer) {
        for index in target.indices {
            target[index] = (digit(hex[2 * index]) ?? 0) << 4 | (digit(hex[2 * index + 1]) ?? 0)
        }
    }

    private static func digit(_ character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): character - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
