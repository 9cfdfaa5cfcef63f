package import BatonCore

extension FrozenSocket {
    /// The first bytes of every encoding, and the version that follows them.
    static let magic: [UInt8] = Array("BTCP".utf8)
    static let version: UInt8 = 1

    /// Writes the value down, to be read by `init(decoding:)` on another host.
    package borrowing func encoded() -> SecretBytes {
        var output = ByteQueue()
        encode(into: &output)
        return output.withBytes { SecretBytes(copying: $0.bytes) }
    }

    borrowing func encode(into output: inout ByteQueue) {
        // Once, for the queues are large.
        output.append(minimum: sendQueue.count + receiveQueue.count + companionCount + 512) { _ in 0 }
        output.append(FrozenSocket.magic)
        output.append([FrozenSocket.version])
        output.append(.family, [socketFamily.rawValue])
        output.append(.local, flow.local.encoded)
        output.append(.remote, flow.remote.encoded)
        output.append(.state, [state.rawValue])
        output.append(.negotiated, negotiated.encoded)
        output.append(.window, window.encoded)
        output.append(.timestamp, integer: timestamp)
        output.append(.sendSequence, integer: sendSequence)
        output.append(.sendQueue, queue: sendQueue)
        output.append(.unsentCount, integer: UInt32(clamping: unsentCount))
        output.append(.receiveSequence, integer: receiveSequence)
        output.append(.receiveQueue, queue: receiveQueue)
        output.append(.integerOptions, options.encodedValues)
        output.append(.congestionControl, Array(options.congestionControl.utf8))
        if let linger = options.linger { output.append(.linger, integer: linger) }
        var timeouts: [UInt8] = []
        timeouts.append(bigEndian: options.receiveTimeout)
        timeouts.append(bigEndian: options.sendTimeout)
        output.append(.timeouts, timeouts)
        output.append(.isNonBlocking, [options.isNonBlocking ? 1 : 0])
        guard companionCount > 0 else { return }
        switch companion {
        case .some(let companion): companion.withUnsafeBytes { output.append(.companion, raw: $0) }
        case .none: break
        }
    }

    var companionCount: Int {
        switch companion {
        case .some(let companion): companion.count
        case .none: 0
        }
    }
}

extension ByteQueue {
    mutating func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { append($0) }
    }

    fileprivate mutating func append(_ field: FrozenField, _ value: [UInt8]) {
        appendHeader(field, value.count)
        append(value)
    }

    fileprivate mutating func append(_ field: FrozenField, integer: some FixedWidthInteger) {
        var bytes: [UInt8] = []
        bytes.append(bigEndian: integer)
        append(field, bytes)
    }

    fileprivate mutating func append(_ field: FrozenField, queue: borrowing ByteQueue) {
        queue.withBytes { append(field, raw: $0) }
    }

    fileprivate mutating func append(_ field: FrozenField, raw: UnsafeRawBufferPointer) {
        appendHeader(field, raw.count)
        append(raw)
    }

    private mutating func appendHeader(_ field: FrozenField, _ count: Int) {
        var header = [field.rawValue]
        header.append(bigEndian: UInt32(count))
        append(header)
    }
}

extension Endpoint {
    fileprivate var encoded: [UInt8] {
        var bytes = address.octets
        bytes.append(bigEndian: port)
        return bytes
    }
}

extension NegotiatedOptions {
    static let sackBit: UInt8 = 1
    static let timestampsBit: UInt8 = 2

    fileprivate var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(bigEndian: mss)
        bytes.append((usesSACK ? Self.sackBit : 0) | (usesTimestamps ? Self.timestampsBit : 0))
        bytes.append(sendScale)
        bytes.append(receiveScale)
        return bytes
    }
}

extension SocketWindow {
    fileprivate var encoded: [UInt8] {
        var bytes: [UInt8] = []
        for value in [lastUpdate, send, largestSend, receive, lastAdvertised] { bytes.append(bigEndian: value) }
        return bytes
    }
}

extension SocketOptions {
    /// Pairs of an option's number and value, by ascending number.
    fileprivate var encodedValues: [UInt8] {
        var bytes: [UInt8] = []
        for option in SocketOption.allCases {
            guard let value = values[option] else { continue }
            bytes.append(option.rawValue)
            bytes.append(bigEndian: value)
        }
        return bytes
    }
}
