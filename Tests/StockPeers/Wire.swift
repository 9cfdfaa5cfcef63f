import Glibc
package import TLSHandshake
package import TLSRecords

/// A TCP socket on the loopback interface. Every wait has a bound far beyond what a loaded machine needs.
package final class Wire {
    package static let patience: Int32 = 30_000
    package let descriptor: Int32

    package init(_ descriptor: Int32) { self.descriptor = descriptor }
    deinit { close(descriptor) }

    package static func listen() throws -> (Wire, port: UInt16) {
        let wire = Wire(socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0))
        var address = loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(wire.descriptor, $0, length) == 0 && Glibc.listen(wire.descriptor, 16) == 0
                    && getsockname(wire.descriptor, $0, &length) == 0
            }
        }
        guard isBound else { throw WireError("cannot listen: \(errno)") }
        return (wire, UInt16(bigEndian: address.sin_port))
    }

    package static func connect(_ port: UInt16) throws -> Wire {
        let wire = Wire(socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0))
        var address = loopback(port)
        let isConnected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(wire.descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isConnected else { throw WireError("cannot connect: \(errno)") }
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
    package static func freePort() throws -> UInt16 { try listen().port }

    package func accept() throws -> Wire {
        try wait()
        let accepted = Glibc.accept(descriptor, nil, nil)
        guard accepted >= 0 else { throw WireError("cannot accept: \(errno)") }
        _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
        return Wire(accepted)
    }

    private func wait() throws {
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard Glibc.poll(&poll, 1, Wire.patience) == 1 else { throw WireError("nothing arrived") }
    }

    package func read(upTo most: Int = 16_384) throws -> [UInt8] {
        try wait()
        return [UInt8](unsafeUninitializedCapacity: most) { buffer, count in
            count = max(0, Glibc.read(descriptor, buffer.baseAddress, most))
        }
    }

    package func write(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { throw WireError("cannot write: \(errno)") }
            rest = rest.dropFirst(count)
        }
    }

    /// Writes what the socket takes now; 0 if it takes nothing.
    package func writeSome(_ bytes: [UInt8]) throws -> Int {
        let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
        let count = bytes.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, flags) }
        guard count < 0 else { return count }
        guard errno == EAGAIN else { throw WireError("cannot write: \(errno)") }
        return 0
    }

    /// Its end is a RST.
    package func resetAtClose() {
        var atOnce = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &atOnce, socklen_t(MemoryLayout<linger>.size))
    }

    /// Sets the size of the socket's send buffer in bytes: a small one keeps little under way, a large one is fast.
    package func setSendBuffer(_ size: Int32) {
        var size = size
        setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Runs a handshake to its end; an alert is written before the error is thrown.
    ///
    /// - Parameter writesLastFlight: whether what the last step leaves to be written is written, or left to the
    ///   connection.
    package func handshake(_ handshake: consuming Handshake, writesLastFlight: Bool = true) throws -> Connection {
        while true {
            let progress = Result { () throws(HandshakeError) in try handshake.advance() }
            let isEstablished = if case .success(.established) = progress { true } else { false }
            if isEstablished, !writesLastFlight { return try handshake.connection() }
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
