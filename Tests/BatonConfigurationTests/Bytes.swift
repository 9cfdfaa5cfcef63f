import BatonConfiguration

extension String {
    var utf8Array: [UInt8] { Array(utf8) }
}

extension ProxyProtocolHeader {
    /// `read` of an array, which lives as long as the call.
    static func read(
        _ bytes: [UInt8], accepting versions: Set<Version> = [.v1, .v2]
    ) throws(ProxyProtocolError) -> Reading {
        try read(bytes.span.bytes, accepting: versions)
    }
}

extension PlainPreface {
    mutating func receive(_ bytes: [UInt8]) -> Step { receive(bytes.span.bytes) }
}

extension RequestLine {
    static func read(_ bytes: [UInt8], limit: Int) -> Reading { read(bytes.span.bytes, limit: limit) }
}

extension RequestHead {
    static func read(_ bytes: [UInt8], limit: Int) -> Reading { read(bytes.span.bytes, limit: limit) }
}
