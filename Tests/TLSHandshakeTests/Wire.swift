import Foundation
import TLSHandshake
import TLSRecords
import Testing

struct WireError: Error, CustomStringConvertible {
    var description: String
}

/// A TCP socket on the loopback interface. Every wait has a bound far beyond what a loaded machine needs.
final class Wire {
    static let patience: Int32 = 30_000
    let descriptor: Int32

    init(_ descriptor: Int32) { self.descriptor = descriptor }
    deinit { close(descriptor) }

    static func listen() throws -> (Wire, port: UInt16) {
        let wire = Wire(socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0))
        var address = loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(wire.descriptor, $0, length) == 0 && Glibc.listen(wire.descriptor, 16) == 0
                    && getsockname(wire.descriptor, $0, &length) == 0
            }
        }
        guard isBound else { throw WireError(description: "cannot listen: \(errno)") }
        return (wire, UInt16(bigEndian: address.sin_port))
    }

    static func connect(_ port: UInt16) throws -> Wire {
        let wire = Wire(socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0))
        var address = loopback(port)
        let isConnected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(wire.descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isConnected else { throw WireError(description: "cannot connect: \(errno)") }
        return wire
    }

    private static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    /// A port that nothing listens on at this moment, for peers that cannot choose one themselves.
    static func freePort() throws -> UInt16 { try listen().port }

    func accept() throws -> Wire {
        try wait()
        return Wire(Glibc.accept(descriptor, nil, nil))
    }

    private func wait() throws {
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard Glibc.poll(&poll, 1, Wire.patience) == 1 else { throw WireError(description: "nothing arrived") }
    }

    func read() throws -> [UInt8] {
        try wait()
        return [UInt8](unsafeUninitializedCapacity: 16_384) { buffer, count in
            count = max(0, Glibc.read(descriptor, buffer.baseAddress, buffer.count))
        }
    }

    func write(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { throw WireError(description: "cannot write: \(errno)") }
            rest = rest.dropFirst(count)
        }
    }

    /// Runs a handshake to its end; an alert is written before the error is thrown.
    func handshake(_ handshake: consuming Handshake) throws -> Connection {
        while true {
            let progress = Result { () throws(HandshakeError) in try handshake.advance() }
            let bytes = handshake.withOutgoing { span in span.withUnsafeBytes { Array($0) } }
            handshake.didWrite(bytes.count)
            try? write(bytes)
            if try progress.get() == .established { return try handshake.connection() }
            let received = try read()
            if received.isEmpty { try handshake.receiveEnd() }
            handshake.receive(received.span.bytes)
        }
    }
}

/// A connection and its socket.
struct Session: ~Copyable {
    var connection: Connection
    let wire: Wire

    init(_ wire: Wire, _ handshake: consuming Handshake) throws {
        connection = try wire.handshake(handshake)
        self.wire = wire
    }

    mutating func send(_ text: String) throws {
        try connection.send(Array(text.utf8).span.bytes)
        try flush()
    }

    mutating func flush() throws {
        let bytes = connection.withOutgoing { span in span.withUnsafeBytes { Array($0) } }
        connection.didWrite(bytes.count)
        try wire.write(bytes)
    }

    /// Reads until what has arrived contains `text`.
    mutating func expect(_ text: String) throws {
        var seen = ""
        while !seen.contains(text) {
            while let event = try connection.nextEvent() {
                guard case .applicationData(let count) = event else {
                    if event == .closeNotify { throw WireError(description: "closed after '\(seen)'") }
                    continue
                }
                connection.withUnread { span in
                    span.withUnsafeBytes { seen += String(decoding: $0, as: UTF8.self) }
                }
                connection.consumeUnread(count)
            }
            try flush()
            if seen.contains(text) { return }
            let bytes = try wire.read()
            guard !bytes.isEmpty else { throw WireError(description: "the end after '\(seen)'") }
            connection.receive(bytes.span.bytes)
        }
    }

    mutating func close() throws {
        connection.close()
        try flush()
    }

    consuming func moved() -> Session {
        Session(connection: Connection(resuming: connection.suspend()), wire: wire)
    }

    private init(connection: consuming Connection, wire: Wire) {
        self.connection = connection
        self.wire = wire
    }
}
