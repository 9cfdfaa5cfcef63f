internal import BatonCore
internal import COpenSSL
public import TLSRecords

extension Handshake {
    /// Takes the connection over from the library, whose object is freed. Outgoing bytes that have not been written
    /// are now the connection's to write, and so are received bytes to read.
    ///
    /// - Throws: `internalFailure` unless `advance` has said `established`. The connection is lost then.
    public consuming func connection() throws(HandshakeError) -> Connection {
        Connection(resuming: try snapshot())
    }

    /// Whether the peer has shown a certificate for the host name. Whether that certificate is good is for the context to
    /// decide: a server's must require client certificates for this to mean anything.
    package borrowing func peerCertificate(isFor name: String) -> Bool {
        session?.peerCertificate(isFor: name) ?? false
    }

    /// The connection at rest, to be handed on at once.
    ///
    /// - Throws: as `connection()`.
    public consuming func snapshot() throws(HandshakeError) -> Snapshot {
        guard let info, let session else {
            throw HandshakeError(
                .internalFailure, fault: .local, "the handshake is not done: call advance() until it says .established")
        }
        let limits = RecordLimits(info.version, maximumFragmentLengthCode: session.maximumFragmentLengthCode)
        session.retire()
        do {
            var snapshot = try observer.snapshot(info: info, limits: limits, unwritten: output)
            inbound.withBytes { snapshot.appendInbound($0) }
            return snapshot
        } catch {
            throw HandshakeError(.internalFailure, fault: .local, "the handshake cannot be taken over: \(error)")
        }
    }

    /// A client's session to resume later, once there is one.
    ///
    /// In TLS 1.2 that is when the handshake is established. In TLS 1.3 the server sends tickets afterwards: those at
    /// the front of what has been received are read here, up to the first record that is something else. Tickets that
    /// come later are events of the connection.
    ///
    /// - Returns: `nil` before the handshake is established, where no ticket has come, and for servers.
    public mutating func clientSession() throws(HandshakeError) -> ClientSession? {
        guard let info, let session, role == .client else { return nil }
        while info.version == .tls13, session.newSession == nil {
            guard let length = inbound.withBytes({ observer.ticketRecordLength(in: $0) }) else { break }
            let isTaken = inbound.withBytes { session.write(UnsafeRawBufferPointer(rebasing: $0[..<length])) }
            var waiting = ByteQueue()
            swap(&waiting, &inbound)
            defer { swap(&waiting, &inbound) }
            do {
                try waiting.withBytes { (bytes) throws(HandshakeObserverError) in
                    try observer.sawReceived(UnsafeRawBufferPointer(rebasing: bytes[..<length]).bytes)
                }
            } catch {
                throw HandshakeError(.protocolViolation, "the server's ticket cannot be read: \(error)")
            }
            waiting.consume(length)
            guard isTaken, case .needsInput = session.readMessage() else {
                throw HandshakeError(.protocolViolation, "the server's ticket cannot be read; connect again")
            }
        }
        return session.newSession
    }
}

extension HandshakeObserver {
    /// The length of the record at the front of `bytes` if it holds nothing but whole NewSessionTicket messages of the
    /// server.
    borrowing func ticketRecordLength(in bytes: UnsafeRawBufferPointer) -> Int? {
        guard let header = RecordHeader(bytes), header.impossibleField == nil else { return nil }
        let length = RecordHeader.length + header.length
        guard bytes.count >= length else { return nil }
        var copy = ByteQueue()
        copy.append(UnsafeRawBufferPointer(rebasing: bytes[..<length]))
        guard let content = peekServer(&copy, header), content.type == ContentType.handshake.rawValue else {
            return nil
        }
        let isTickets = copy.withBytes { bytes in
            var reader = WireReader(
                UnsafeRawBufferPointer(rebasing: bytes[content.offset..<content.offset + content.count]))
            while !reader.isAtEnd {
                guard reader.uint8() == 4, let count = reader.uint24(), reader.bytes(count) != nil else { return false }
            }
            return content.count > 0
        }
        return isTickets ? length : nil
    }
}
