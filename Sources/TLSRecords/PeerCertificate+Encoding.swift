internal import BatonCore

// The fields 130 to 132 of a snapshot, see docs/snapshot-format.md.

extension AlternativeName {
    /// As GeneralName numbers them (RFC 5280 section 4.2.1.6).
    private var kind: UInt8 {
        switch self {
        case .email: 1
        case .dns: 2
        case .uri: 6
        case .address: 7
        }
    }

    private init?(kind: UInt8, _ text: String) {
        switch kind {
        case 1: self = .email(text)
        case 2: self = .dns(text)
        case 6: self = .uri(text)
        case 7: self = .address(text)
        default: return nil
        }
        guard isWellFormed else { return nil }
    }

    /// Whether a list is one that is written.
    static func isWritable(_ names: [AlternativeName]) -> Bool {
        names.count <= maxNames && names.reduce(0) { $0 + $1.text.utf8.count } <= maxBytes
            && names.allSatisfy(\.isWellFormed)
    }

    static func encode(_ names: [AlternativeName]) -> [UInt8] {
        names.flatMap { name in
            let text = Array(name.text.utf8)
            return [name.kind, UInt8(text.count >> 8), UInt8(text.count & 0xFF)] + text
        }
    }

    /// `nil` for what `encode` does not write.
    static func decode(_ bytes: UnsafeRawBufferPointer) -> [AlternativeName]? {
        var reader = WireReader(bytes)
        var names: [AlternativeName] = []
        while !reader.isAtEnd {
            guard names.count < maxNames, let kind = reader.uint8(), let length = reader.uint16(),
                let text = reader.bytes(Int(length)).flatMap({ String(validating: $0, as: UTF8.self) }),
                let name = AlternativeName(kind: kind, text)
            else { return nil }
            names.append(name)
        }
        return names.isEmpty || !isWritable(names) ? nil : names
    }
}

extension PeerCertificate {
    static func isWritable(_ chain: [[UInt8]]) -> Bool {
        chain.reduce(0) { $0 + $1.count } <= chainLimit && chain.allSatisfy { !$0.isEmpty }
    }

    /// Each with its length before it, in four bytes.
    static func encode(_ chain: [[UInt8]]) -> [UInt8] {
        chain.flatMap { certificate in
            withUnsafeBytes(of: UInt32(certificate.count).bigEndian) { Array($0) } + certificate
        }
    }

    /// `nil` for what `encode` does not write.
    static func decode(_ bytes: UnsafeRawBufferPointer) -> [[UInt8]]? {
        guard bytes.count <= 5 * chainLimit else { return nil }
        var reader = WireReader(bytes)
        var chain: [[UInt8]] = []
        while !reader.isAtEnd {
            guard let length = reader.uint32(), let certificate = reader.bytes(Int(length)) else { return nil }
            chain.append(Array(certificate))
        }
        return chain.isEmpty || !isWritable(chain) ? nil : chain
    }
}
