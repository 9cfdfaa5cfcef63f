internal import BatonCore
internal import TLSRecords

/// The field of a hello that broke its own length or range.
struct MalformedHello: Error {
    var field: String
}

extension ClientHello {
    /// Reads the body of a ClientHello message, strictly: every vector must fill its length exactly and no extension
    /// may come twice (RFC 8446 section 4.2).
    static func parse(_ body: UnsafeRawBufferPointer) -> Result<ClientHello, MalformedHello> {
        Result { () throws(MalformedHello) in try ClientHello(parsing: body) }
    }

    private init(parsing body: UnsafeRawBufferPointer) throws(MalformedHello) {
        var reader = WireReader(body)
        guard let legacyVersion = reader.uint16(), let random = reader.bytes(32) else {
            throw MalformedHello(field: "random")
        }
        guard let sessionID = reader.vector8(), sessionID.count <= 32 else {
            throw MalformedHello(field: "session id")
        }
        guard let suites = reader.vector16(), suites.count >= 2, suites.count % 2 == 0 else {
            throw MalformedHello(field: "cipher suites")
        }
        guard let compression = reader.vector8(), compression.contains(0) else {
            throw MalformedHello(field: "compression methods")
        }
        self.init(
            random: Array(random), serverName: nil, applicationProtocols: [], versions: [legacyVersion],
            suites: ClientHello.numbers(suites))
        if reader.isAtEnd { return }
        guard let extensions = reader.vector16(), reader.isAtEnd else {
            throw MalformedHello(field: "extensions")
        }
        try read(extensions: extensions)
    }

    private mutating func read(extensions: UnsafeRawBufferPointer) throws(MalformedHello) {
        var reader = WireReader(extensions)
        var seen: Set<UInt16> = []
        while !reader.isAtEnd {
            guard let type = reader.uint16(), let content = reader.vector16() else {
                throw MalformedHello(field: "extensions")
            }
            guard seen.insert(type).inserted else { throw MalformedHello(field: "extension \(type) twice") }
            switch type {
            case 0: serverName = try ClientHello.serverName(content)
            case 16: applicationProtocols = try ClientHello.applicationProtocols(content)
            case 43:
                var list = WireReader(content)
                guard let versions = list.vector8(), list.isAtEnd, versions.count >= 2, versions.count % 2 == 0
                else { throw MalformedHello(field: "supported_versions") }
                self.versions = ClientHello.numbers(versions)
            default: break
            }
        }
    }

    private static func numbers(_ bytes: UnsafeRawBufferPointer) -> [UInt16] {
        stride(from: 0, to: bytes.count - 1, by: 2).map { UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]) }
    }

    private static func serverName(_ content: UnsafeRawBufferPointer) throws(MalformedHello) -> String? {
        var reader = WireReader(content)
        guard let list = reader.vector16(), reader.isAtEnd, !list.isEmpty else {
            throw MalformedHello(field: "server_name")
        }
        var names = WireReader(list)
        var host: String?
        while !names.isAtEnd {
            guard let type = names.uint8(), let name = names.vector16(), !name.isEmpty else {
                throw MalformedHello(field: "server_name")
            }
            // Only host_name (0) is defined, and RFC 6066 section 3 allows one of each type.
            guard type == 0 else { continue }
            guard host == nil, isPrintableName(name) else { throw MalformedHello(field: "server_name") }
            host = CertificateNamePattern.normalise(String(decoding: name, as: UTF8.self))
        }
        // A lone dot is no name.
        return host == "" ? nil : host
    }

    /// Names end up in logs and routes; whatever is no visible ASCII has no business there.
    static func isPrintableName(_ name: UnsafeRawBufferPointer) -> Bool {
        (1...255).contains(name.count) && name.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }

    private static func applicationProtocols(
        _ content: UnsafeRawBufferPointer
    ) throws(MalformedHello) -> [String] {
        var reader = WireReader(content)
        guard let list = reader.vector16(), reader.isAtEnd, !list.isEmpty else {
            throw MalformedHello(field: "application_layer_protocol_negotiation")
        }
        var names = WireReader(list)
        var protocols: [String] = []
        while !names.isAtEnd {
            guard let name = names.vector8(), !name.isEmpty else {
                throw MalformedHello(field: "application_layer_protocol_negotiation")
            }
            // A name that is no text (GREASE, RFC 8701) cannot be one that a route asks for.
            if let text = String(validating: name, as: UTF8.self) { protocols.append(text) }
        }
        return protocols
    }
}
