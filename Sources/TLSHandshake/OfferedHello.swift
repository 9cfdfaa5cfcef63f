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
        groups = OfferedHello.content(of: 10, in: ssl) { content in
            var reader = WireReader(content)
            return reader.vector16().map(OfferedHello.numbers)
        }
        certificateSchemes = OfferedHello.content(of: 50, in: ssl) { content in
            var reader = WireReader(content)
            return reader.vector16().map(OfferedHello.numbers)
        }
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
