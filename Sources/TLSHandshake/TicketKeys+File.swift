internal import BatonCore
internal import Libc

extension TicketKeys {
    /// Keys that hosts share by a file of haproxy's form (`tls-ticket-keys`): 80 bytes in base64 on each line, as `openssl rand
    /// -base64 80 | tr -d '\n'` makes them. The last line but one seals new tickets, and each opens its own. So a new key, which is
    /// appended, opens tickets everywhere before any host seals with it. Of more than 16 lines the last 16 count.
    ///
    /// - Throws: `unreadableFile`, also if every user may read or write the file, or `badTicketKeys`.
    package init(sharedIn path: String) throws(TLSConfigurationError) {
        let file = SmallFile(path, maximumLength: 64 << 10)
        guard !file.isOpenToAll else {
            throw TLSConfigurationError(
                code: .unreadableFile,
                message:
                    "every user may read or write the ticket keys in \(path); take that right away (chmod o-rwx), and replace the keys"
            )
        }
        let text = try file.read()
        var failure: TLSConfigurationError?
        var count = 0
        let keys = text.withUnsafeBytes { (text) -> SecretBytes in
            // An empty last line is none.
            var lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true)
            lines = Array(lines.suffix(TicketKeys.maximumCount))
            count = lines.count
            // The line that seals first, then the newest: the order in which most tickets are opened.
            let sealing = max(0, count - 2)
            let order = [sealing] + (0..<count).reversed().filter { $0 != sealing }
            return SecretBytes(count: count * TicketKeys.keyLength) { target in
                for (place, index) in order.enumerated() where count > 0 {
                    let start = place * TicketKeys.keyLength
                    let key = UnsafeMutableRawBufferPointer(rebasing: target[start..<start + TicketKeys.keyLength])
                    if let length = Base64.decode(lines[index], to: key), length == TicketKeys.keyLength { continue }
                    failure = TLSConfigurationError(
                        code: .badTicketKeys,
                        message:
                            "line \(index + 1) of the last \(count) in \(path) is no ticket key; each line has 80 random "
                            + "bytes in base64 (openssl rand -base64 80 | tr -d '\\n')")
                    return
                }
            }
        }
        if let failure { throw failure }
        guard count > 0 else {
            throw TLSConfigurationError(
                code: .badTicketKeys,
                message:
                    "\(path) holds no ticket key; each line has 80 random bytes in base64 (openssl rand -base64 80 | tr -d '\\n')"
            )
        }
        do throws(TLSConfigurationError) {
            self = try keys.withUnsafeBytes { (bytes) throws(TLSConfigurationError) in
                try TicketKeys(copying: bytes.bytes)
            }
        } catch {
            throw TLSConfigurationError(code: .badTicketKeys, message: "\(path): \(error.message)")
        }
    }
}

/// RFC 4648 section 4. Not the library's, which leaves copies of keys behind.
private enum Base64 {
    /// The count of bytes that the text stands for; nil if it is no base64, or they are more than there is room for. White space at
    /// the end is passed over.
    static func decode(_ text: Slice<UnsafeRawBufferPointer>, to target: UnsafeMutableRawBufferPointer) -> Int? {
        let white = text.reversed().prefix { $0 == 0x20 || $0 == 0x0D || $0 == 0x09 }.count
        let text = text.dropLast(white)
        guard text.count % 4 == 0 else { return nil }
        let padding = text.suffix(2).filter { $0 == UInt8(ascii: "=") }.count
        var (bits, held, written) = (UInt32(0), 0, 0)
        for character in text.dropLast(padding) {
            guard let value = value(of: character) else { return nil }
            bits = bits << 6 | UInt32(value)
            held += 6
            guard held >= 8 else { continue }
            held -= 8
            guard written < target.count else { return nil }
            target[written] = UInt8(truncatingIfNeeded: bits >> UInt32(held))
            written += 1
            bits &= 1 << UInt32(held) - 1
        }
        return bits == 0 ? written : nil
    }

    private static func value(of character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): character - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): character - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
