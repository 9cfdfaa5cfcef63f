internal import BatonCore
public import CBaton
internal import Libc
internal import TLSRecords

// Reading and writing a connection, in memory or with a socket (`baton.h`, "Connections").

/// `baton_version` of `baton.h`.
@_cdecl("baton_version")
public func batonVersion() -> UnsafePointer<CChar> { version }

/// Lives as long as the process.
private nonisolated(unsafe) let version = UnsafePointer(strdup(BATON_VERSION)!)

/// `baton_connection_free` of `baton.h`.
@_cdecl("baton_connection_free")
public func batonConnectionFree(_ connection: OpaquePointer?) { letGo(connection, of: ConnectionHandle.self) }

/// Does something with a connection that is in use.
private func withLive(
    _ pointer: OpaquePointer?, _ error: UnsafeMutablePointer<baton_error>?,
    _ body: (inout Connection) throws(Failure) -> baton_code
) -> CInt {
    answer(error) { () throws(Failure) in
        try object(pointer, ConnectionHandle.self).useLive { (connection, _) throws(Failure) in
            try body(&connection)
        }
    }
}

extension RawSpan {
    /// Copies as many bytes as there is room for.
    ///
    /// - Returns: how many.
    fileprivate func copyStart(to buffer: UnsafeMutableRawBufferPointer) -> Int {
        let count = min(byteCount, buffer.count)
        withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        return count
    }
}

/// `baton_receive` of `baton.h`.
@_cdecl("baton_receive")
public func batonReceive(
    _ connection: OpaquePointer?, _ pointer: UnsafeRawPointer?, _ count: Int,
    _ error: UnsafeMutablePointer<baton_error>?
) -> CInt {
    withLive(connection, error) { (connection) throws(Failure) in
        connection.receive(try bytes(pointer, count).bytes)
        return BATON_OK
    }
}

/// `baton_receive_end` of `baton.h`.
@_cdecl("baton_receive_end")
public func batonReceiveEnd(_ connection: OpaquePointer?, _ error: UnsafeMutablePointer<baton_error>?) -> CInt {
    withLive(connection, error) { connection in
        connection.receiveEnd()
        return BATON_OK
    }
}

/// `baton_inbound_count` of `baton.h`.
@_cdecl("baton_inbound_count")
public func batonInboundCount(_ connection: OpaquePointer?) -> Int { count(connection) { $0.inboundCount } }

/// `baton_outgoing_count` of `baton.h`.
@_cdecl("baton_outgoing_count")
public func batonOutgoingCount(_ connection: OpaquePointer?) -> Int { count(connection) { $0.outgoingCount } }

private func count(_ connection: OpaquePointer?, _ body: (borrowing Connection) -> Int) -> Int {
    do throws(Failure) {
        return try object(connection, ConnectionHandle.self).useLive { connection, _ in body(connection) }
    } catch {
        return 0
    }
}

/// `baton_read` of `baton.h`.
@_cdecl("baton_read")
public func batonRead(
    _ connection: OpaquePointer?, _ pointer: UnsafeMutableRawPointer?, _ capacity: Int,
    _ count: UnsafeMutablePointer<Int>?, _ error: UnsafeMutablePointer<baton_error>?
) -> CInt {
    answer(error) { () throws(Failure) in
        guard let count else { throw .argument("the place for the count is NULL") }
        count.pointee = 0
        let buffer = try room(pointer, capacity)
        guard !buffer.isEmpty else { throw .argument("the buffer has no room") }
        return try object(connection, ConnectionHandle.self).useLive { (connection, unread) throws(Failure) in
            if !unread.isEmpty {
                count.pointee = unread.withBytes { $0.bytes.copyStart(to: buffer) }
                unread.consume(count.pointee)
                unread.releaseIfEmpty()
                return BATON_OK
            }
            return try connection.read(into: buffer, &count.pointee)
        }
    }
}

extension Connection {
    /// Reads what has been opened, or opens the next record that has something in it.
    fileprivate mutating func read(
        into buffer: UnsafeMutableRawBufferPointer, _ count: inout Int
    ) throws(Failure) -> baton_code {
        noteTime(MonotonicTime.now / 1_000_000)
        while true {
            if unreadCount > 0 {
                count = withUnread { $0.copyStart(to: buffer) }
                consumeUnread(count)
                return BATON_OK
            }
            do throws(TLSError) {
                switch try nextEvent() {
                case .applicationData, .keyUpdate, .sessionTicket: continue
                case .closeNotify: return BATON_END
                case nil: return isReadClosed ? BATON_END : BATON_WAIT
                }
            } catch {
                throw Failure(error)
            }
        }
    }
}

/// `baton_write` of `baton.h`.
@_cdecl("baton_write")
public func batonWrite(
    _ connection: OpaquePointer?, _ pointer: UnsafeRawPointer?, _ count: Int,
    _ error: UnsafeMutablePointer<baton_error>?
) -> CInt {
    withLive(connection, error) { (connection) throws(Failure) in
        let plaintext = try bytes(pointer, count)
        do throws(TLSError) {
            try connection.send(plaintext.bytes)
        } catch {
            throw Failure(error)
        }
        return BATON_OK
    }
}

/// `baton_close` of `baton.h`.
@_cdecl("baton_close")
public func batonClose(_ connection: OpaquePointer?, _ error: UnsafeMutablePointer<baton_error>?) -> CInt {
    withLive(connection, error) { connection in
        connection.close()
        return BATON_OK
    }
}

/// `baton_outgoing` of `baton.h`.
@_cdecl("baton_outgoing")
public func batonOutgoing(
    _ connection: OpaquePointer?, _ pointer: UnsafeMutableRawPointer?, _ capacity: Int,
    _ count: UnsafeMutablePointer<Int>?, _ error: UnsafeMutablePointer<baton_error>?
) -> CInt {
    withLive(connection, error) { (connection) throws(Failure) in
        guard let count else { throw .argument("the place for the count is NULL") }
        count.pointee = 0
        let buffer = try room(pointer, capacity)
        count.pointee = connection.withOutgoing { $0.copyStart(to: buffer) }
        return BATON_OK
    }
}

/// `baton_did_write` of `baton.h`.
@_cdecl("baton_did_write")
public func batonDidWrite(
    _ connection: OpaquePointer?, _ count: Int, _ error: UnsafeMutablePointer<baton_error>?
) -> CInt {
    withLive(connection, error) { (connection) throws(Failure) in
        guard 0...connection.outgoingCount ~= count else {
            throw .argument("\(connection.outgoingCount) bytes are outgoing; no more can have been written")
        }
        connection.didWrite(count)
        return BATON_OK
    }
}

/// `baton_fill` of `baton.h`.
@_cdecl("baton_fill")
public func batonFill(
    _ connection: OpaquePointer?, _ socket: CInt, _ error: UnsafeMutablePointer<baton_error>?
) -> CInt {
    withLive(connection, error) { (connection) throws(Failure) in
        while true {
            let count = connection.receive(upTo: 65_536) {
                Libc.read(socket, $0.baseAddress, min($0.count, 65_536))
            }
            if count > 0 { return BATON_OK }
            if count == 0 {
                connection.receiveEnd()
                return BATON_OK
            }
            if errno == EAGAIN { return BATON_WAIT }
            if errno != EINTR { throw .system("the socket cannot be read") }
        }
    }
}

/// `baton_flush` of `baton.h`.
@_cdecl("baton_flush")
public func batonFlush(
    _ connection: OpaquePointer?, _ socket: CInt, _ error: UnsafeMutablePointer<baton_error>?
) -> CInt {
    withLive(connection, error) { (connection) throws(Failure) in
        while connection.outgoingCount > 0 {
            let count = connection.withOutgoing { outgoing in
                outgoing.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
            }
            if count >= 0 {
                connection.didWrite(count)
            } else if errno == EAGAIN {
                return BATON_WAIT
            } else if errno != EINTR {
                throw .system("the socket cannot be written to")
            }
        }
        return BATON_OK
    }
}

/// `baton_release_memory` of `baton.h`.
@_cdecl("baton_release_memory")
public func batonReleaseMemory(_ connection: OpaquePointer?, _ error: UnsafeMutablePointer<baton_error>?) -> CInt {
    withLive(connection, error) { connection in
        connection.releaseIdleMemory()
        return BATON_OK
    }
}

/// `baton_get_info` of `baton.h`.
@_cdecl("baton_get_info")
public func batonGetInfo(
    _ connection: OpaquePointer?, _ target: UnsafeMutablePointer<baton_info>?,
    _ error: UnsafeMutablePointer<baton_error>?
) -> CInt {
    answer(error) { () throws(Failure) in
        guard let target else { throw .argument("the place for the information is NULL") }
        let info = try object(connection, ConnectionHandle.self).use { (held) throws(Failure) in try held.info() }
        target.pointee = baton_info()
        target.pointee.is_server = info.role == .server ? 1 : 0
        target.pointee.version = info.version.rawValue
        target.pointee.cipher_suite = info.suite.rawValue
        withUnsafeMutableBytes(of: &target.pointee.alpn) { $0.setText(info.applicationProtocol ?? "") }
        withUnsafeMutableBytes(of: &target.pointee.server_name) { $0.setText(info.serverName ?? "") }
        return BATON_OK
    }
}

extension ConnectionHandle.Held {
    fileprivate borrowing func info() throws(Failure) -> ConnectionInfo {
        switch live {
        case .some(let connection): return connection.info
        case .none: break
        }
        switch atRest {
        case .some(let snapshot): return snapshot.info
        case .none: throw .gone
        }
    }
}
