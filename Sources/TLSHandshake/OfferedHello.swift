internal import BatonCore
internal import COpenSSL
internal import TLSRecords

/// What a ClientHello says that the choice of a certificate needs, and that the library does not tell later.
struct OfferedHello {
    /// The name asked for, normalised; nil for none, and for one that is no visible ASCII.
    var serverName: String?
    /// The groups of the extension `supported_groups`; nil without it.
    var groups: [UInt16]?
    /// The schemes that certificates may be signed by (RFC 8446 section 4.2.3); nil unless the client names them apart from
    /// those of the handshake.
    var certificateSchemes: [UInt16]?
    /// What a second hello repeats (RFC 8446 section 4.1.2), as far as anything here depends on it: random, session ID, suites, and
    /// the extensions that are read.
    private var lasting: [UInt8] = []

    /// For the library's ClientHello callback, and only there. What cannot be read is left to the library to refuse.
    init(_ ssl: OpaquePointer) {
        serverName = OfferedHello.content(of: 0, in: ssl) { content in
            var reader = WireReader(content)
            guard let list = reader.vector16(), reader.isAtEnd else { return nil }
            var names = WireReader(list)
            while let type = names.uint8(), let name = names.vector16() {
                guard type == 0 else { continue }
                guard ClientHello.isPrintableName(name) else { return nil }
                let text = CertificateNamePattern.normalise(String(decoding: name, as: UTF8.self))
                // A lone dot is a name to OpenSSL and normalises to none.
                return text.isEmpty ? nil : text
            }
            return nil
        }
        var bytes: UnsafePointer<UInt8>?
        for field in [SSL_client_hello_get0_random, SSL_client_hello_get0_session_id, SSL_client_hello_get0_ciphers] {
            let count = field(ssl, &bytes)
            add(UnsafeRawBufferPointer(start: bytes, count: count))
        }
        for type in OfferedHello.lastingExtensions {
            let content = OfferedHello.content(of: type, in: ssl) { Array($0) }
            lasting.append(content == nil ? 0 : 1)
            if let content { content.withUnsafeBytes { add($0) } }
        }
        groups = OfferedHello.content(of: 10, in: ssl) { content in
            var reader = WireReader(content)
            return reader.vector16().map(OfferedHello.numbers)
        }
        certificateSchemes = OfferedHello.content(of: 50, in: ssl) { content in
            var reader = WireReader(content)
            return reader.vector16().map(OfferedHello.numbers)
        }
    }

    /// Whether the second hello of the client asks for the same as this one.
    func isRepeated(by second: OfferedHello) -> Bool { lasting == second.lasting }

    /// server_name, supported_groups, signature_algorithms, application_layer_protocol_negotiation and
    /// signature_algorithms_cert.
    private static let lastingExtensions: [UInt32] = [0, 10, 13, 16, 50]

    /// With its length, so that no two lists are the same bytes.
    private mutating func add(_ bytes: UnsafeRawBufferPointer) {
        withUnsafeBytes(of: UInt32(bytes.count).bigEndian) { lasting += $0 }
        lasting += bytes
    }

    private static func content<R>(
        of type: UInt32, in ssl: OpaquePointer, _ read: (UnsafeRawBufferPointer) -> R?
    ) -> R? {
        var bytes: UnsafePointer<UInt8>?
        var count = 0
        guard SSL_client_hello_get0_ext(ssl, type, &bytes, &count) == 1 else { return nil }
        return read(UnsafeRawBufferPointer(start: bytes, count: count))
    }

    private static func numbers(_ bytes: UnsafeRawBufferPointer) -> [UInt16] {
        var reader = WireReader(bytes)
        var numbers: [UInt16] = []
        while let number = reader.uint16() { numbers.append(number) }
        return numbers
    }
}
