internal import BatonCore
internal import SessionEngine
internal import TLSRecords

/// What a worker needs of a session beside the client's connection; it travels as the parcel's application state.
struct SessionState: Sendable {
    /// Plaintext that was read from the client and not acted on: a request that chose the route. An older program leaves half
    /// a request to its page here, too.
    var received: [UInt8] = []
    /// The connection to the upstream, if there is one; its socket and its snapshot are the parcel's second.
    var upstream: UpstreamLeg?

    /// Of the built-in page: where its next request has come to.
    var scanner = RequestScanner()

    /// A program that does not know of the scanner would take what follows half a request for a whole one: it refuses the
    /// state of a page within a request, and the connection goes on where it is until the request has come.
    private enum Version {
        static let withoutScanner: UInt8 = 2
        static let withScanner: UInt8 = 3
    }

    init(received: [UInt8] = []) {
        self.received = received
    }

    /// Reads what `encoded` wrote; `nil` if it is something else. Nothing at all is an empty state.
    init?(_ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        let state = bytes.withUnsafeBytes { bytes -> SessionState? in
            var reader = WireReader(bytes)
            let version = reader.uint8()
            guard version == Version.withoutScanner || version == Version.withScanner, let received = reader.bytes32(),
                let hasUpstream = reader.uint8(),
                hasUpstream <= 1
            else { return nil }
            var state = SessionState(received: received)
            if hasUpstream == 1 {
                guard let leg = UpstreamLeg(&reader) else { return nil }
                state.upstream = leg
            }
            if version == Version.withScanner {
                guard let bytes = reader.bytes(8), let scanner = RequestScanner(Array(bytes)) else { return nil }
                state.scanner = scanner
            }
            return reader.isAtEnd ? state : nil
        }
        guard let state else { return nil }
        self = state
    }

    var encoded: [UInt8] {
        guard !received.isEmpty || upstream != nil || !scanner.isAtStart else { return [] }
        var bytes = [scanner.isAtStart ? Version.withoutScanner : Version.withScanner]
        bytes.append32(received)
        bytes.append(upstream == nil ? 0 : 1)
        upstream?.write(to: &bytes)
        if !scanner.isAtStart { bytes += scanner.encoded }
        return bytes
    }
}

/// The second connection of a proxied session, at rest: all that is no secret of TLS, which the parcel's second snapshot
/// has.
struct UpstreamLeg: Sendable {
    var received: [UInt8]
    var unsent: [UInt8]
    var annotations: [String: [UInt8]] = [:]

    init(received: [UInt8], unsent: [UInt8], annotations: [String: [UInt8]]) {
        self.received = received
        self.unsent = unsent
        self.annotations = annotations
    }

    init?(_ reader: inout WireReader) {
        guard let received = reader.bytes32(), let unsent = reader.bytes32(),
            let count = reader.uint8()
        else { return nil }
        self.received = received
        self.unsent = unsent
        for _ in 0..<count {
            guard let name = reader.bytes32(), let value = reader.bytes32() else { return nil }
            annotations[String(decoding: name, as: UTF8.self)] = value
        }
    }

    func write(to bytes: inout [UInt8]) {
        bytes.append32(received)
        bytes.append32(unsent)
        let annotations = self.annotations.sorted { $0.key < $1.key }.prefix(255)
        bytes.append(UInt8(annotations.count))
        for (name, value) in annotations {
            bytes.append32(Array(name.utf8))
            bytes.append32(value)
        }
    }
}

extension WireReader {
    fileprivate mutating func bytes32() -> [UInt8]? {
        guard let count = uint32(), count <= UInt32(Int32.max), let bytes = bytes(Int(count)) else { return nil }
        return Array(bytes)
    }
}

extension [UInt8] {
    fileprivate mutating func append32(_ bytes: [UInt8]) {
        Swift.withUnsafeBytes(of: UInt32(bytes.count).bigEndian) { append(contentsOf: $0) }
        append(contentsOf: bytes)
    }
}
