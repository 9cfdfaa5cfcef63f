import BatonCore

extension FrozenSocket {
    /// The most bytes of each queue, and of what accompanies them, that a reader accepts; above what Linux lets a socket hold by default.
    static let queueLimit = 1 << 28

    /// Reads what `encoded()` wrote. Accepts exactly one spelling of each value.
    ///
    /// - Throws: `.unsupportedVersion`, or `.malformed` with the name of the first field that is wrong.
    package init(decoding bytes: RawSpan) throws(MigrationError) {
        self = try bytes.withUnsafeBytes { raw throws(MigrationError) in try FrozenSocket.decode(raw) }
    }

    static func decode(_ bytes: UnsafeRawBufferPointer) throws(MigrationError) -> FrozenSocket {
        var reader = WireReader(bytes)
        guard let magic = reader.bytes(magic.count), magic.elementsEqual(FrozenSocket.magic),
            let version = reader.uint8()
        else { throw MigrationError(.malformed, "header") }
        guard version == FrozenSocket.version else { throw MigrationError(.unsupportedVersion, "\(version)") }
        let fields = try FrozenFields(&reader)
        return try fields.assemble()
    }
}

/// The raw fields of an encoding: each known one at most once, in ascending order.
private struct FrozenFields {
    private var values: [FrozenField: UnsafeRawBufferPointer] = [:]

    init(_ reader: inout WireReader) throws(MigrationError) {
        var last: UInt8 = 0
        while !reader.isAtEnd {
            guard let tag = reader.uint8(), let length = reader.uint32(), let value = reader.bytes(Int(length)) else {
                throw MigrationError(.malformed, "truncated")
            }
            guard tag > last else { throw MigrationError(.malformed, "order") }
            last = tag
            if let field = FrozenField(rawValue: tag) {
                values[field] = value
            } else if tag & FrozenField.ignorable == 0 {
                throw MigrationError(.malformed, "field \(tag)")
            }
        }
        for field in FrozenField.allCases where field.isRequired && values[field] == nil {
            throw MigrationError(.malformed, "no \(field)")
        }
    }

    func assemble() throws(MigrationError) -> FrozenSocket {
        guard let family = IPAddress.Family(rawValue: try read(.family) { $0.uint8() }) else { throw bad(.family) }
        let local = try read(.local) { Endpoint(&$0) }
        let remote = try read(.remote) { Endpoint(&$0) }
        guard let flow = Flow(local: local, remote: remote), family == .ipv6 || flow.family == .ipv4 else {
            throw bad(.remote)
        }
        guard local.port != 0, remote.port != 0, !local.address.isLinkLocal, !remote.address.isLinkLocal else {
            throw bad(.local)
        }
        guard let state = TCPState(rawValue: try read(.state) { $0.uint8() }), state.isMovable else {
            throw bad(.state)
        }
        let sendQueue = try bytes(.sendQueue)
        let receiveQueue = try bytes(.receiveQueue)
        let unsent = Int(try read(.unsentCount) { $0.uint32() })
        guard unsent <= sendQueue.count else { throw bad(.unsentCount) }
        // The peer has acknowledged our FIN, and so every byte before it.
        guard state != .finWait2 || sendQueue.isEmpty else { throw bad(.sendQueue) }
        var frozen = FrozenSocket(
            flow: flow, state: state,
            negotiated: try read(.negotiated) { NegotiatedOptions(&$0) },
            window: try read(.window) { SocketWindow(&$0) },
            options: try options(family),
            timestamp: try read(.timestamp) { $0.uint32() },
            sendSequence: try read(.sendSequence) { $0.uint32() },
            sendQueue: ByteQueue(copying: sendQueue), unsentCount: unsent,
            receiveSequence: try read(.receiveSequence) { $0.uint32() },
            receiveQueue: ByteQueue(copying: receiveQueue), socketFamily: family, standstill: nil, companion: nil)
        if values[.companion] != nil {
            let companion = try bytes(.companion)
            // None at all is the one spelling of nothing.
            guard !companion.isEmpty else { throw bad(.companion) }
            frozen.companion = SecretBytes(copying: companion.bytes)
        }
        return frozen
    }

    private func options(_ family: IPAddress.Family) throws(MigrationError) -> SocketOptions {
        var options = SocketOptions()
        options.values = try read(.integerOptions) { SocketOptions.values(&$0, family) }
        let name = try bytes(.congestionControl)
        let isName = name.allSatisfy { (0x21...0x7E).contains($0) }
        guard name.count <= SocketOptions.congestionControlLimit, isName else { throw bad(.congestionControl) }
        options.congestionControl = String(decoding: name, as: UTF8.self)
        if values[.linger] != nil {
            let seconds = Int32(bitPattern: try read(.linger) { $0.uint32() })
            guard seconds >= 0 else { throw bad(.linger) }
            options.linger = seconds
        }
        (options.receiveTimeout, options.sendTimeout) = try read(.timeouts) { reader in
            guard let receive = reader.uint64(), let send = reader.uint64() else { return nil }
            return (receive, send)
        }
        let flag = try read(.isNonBlocking) { $0.uint8() }
        guard flag <= 1 else { throw bad(.isNonBlocking) }
        options.isNonBlocking = flag == 1
        return options
    }

    private func bytes(_ field: FrozenField) throws(MigrationError) -> UnsafeRawBufferPointer {
        guard let value = values[field], value.count <= FrozenSocket.queueLimit else { throw bad(field) }
        return value
    }

    /// Reads a field that `body` must consume entirely.
    private func read<T>(_ field: FrozenField, _ body: (inout WireReader) -> T?) throws(MigrationError) -> T {
        guard let value = values[field] else { throw bad(field) }
        var reader = WireReader(value)
        guard let result = body(&reader), reader.isAtEnd else { throw bad(field) }
        return result
    }

    private func bad(_ field: FrozenField) -> MigrationError {
        MigrationError(.malformed, "\(field)")
    }
}

extension Endpoint {
    fileprivate init?(_ reader: inout WireReader) {
        // A mapped IPv4 address has a shorter spelling, which is the only one.
        guard let raw = reader.bytes(reader.remaining - 2), let address = IPAddress(octets: raw),
            address.unmapped == address, let port = reader.uint16()
        else { return nil }
        self.init(address, port: port)
    }
}

extension NegotiatedOptions {
    fileprivate init?(_ reader: inout WireReader) {
        guard let mss = reader.uint16(), let flags = reader.uint8(), let send = reader.uint8(),
            let receive = reader.uint8(), flags <= Self.sackBit | Self.timestampsBit, send <= 14, receive <= 14
        else { return nil }
        self.init(
            mss: mss, usesSACK: flags & Self.sackBit != 0, usesTimestamps: flags & Self.timestampsBit != 0,
            sendScale: send, receiveScale: receive)
    }
}

extension SocketWindow {
    fileprivate init?(_ reader: inout WireReader) {
        guard let lastUpdate = reader.uint32(), let send = reader.uint32(), let largest = reader.uint32(),
            let receive = reader.uint32(), let advertised = reader.uint32()
        else { return nil }
        self.init(
            lastUpdate: lastUpdate, send: send, largestSend: largest, receive: receive, lastAdvertised: advertised)
    }
}

extension SocketOptions {
    fileprivate static func values(
        _ reader: inout WireReader, _ family: IPAddress.Family
    ) -> [SocketOption: Int32]? {
        var values: [SocketOption: Int32] = [:]
        var last: UInt8 = 0
        while !reader.isAtEnd {
            guard let tag = reader.uint8(), let raw = reader.uint32(), tag > last,
                let option = SocketOption(rawValue: tag), option.exists(on: family)
            else { return nil }
            last = tag
            let value = Int32(bitPattern: raw)
            guard option.range.contains(value) else { return nil }
            values[option] = value
        }
        return values
    }
}
