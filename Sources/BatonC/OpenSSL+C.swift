internal import BatonCore
public import CBaton
internal import COpenSSL
internal import Libc
internal import TLSHandshake
internal import TLSRecords

// How a connection leaves OpenSSL (`baton_openssl.h`). The filter beneath the SSL is `openssl_observer.c`'s.

/// What one SSL has shown so far. It is used by the thread that uses the SSL.
private final class Observation {
    private var observer: HandshakeObserver?
    /// Lines of the key log that came before the hellos had passed.
    private var lines: [SecretLine] = []
    private(set) var error: HandshakeObserverError?

    private final class SecretLine {
        let bytes: SecretBytes
        init(_ bytes: consuming SecretBytes) { self.bytes = bytes }
    }

    init(_ role: Role) { observer = HandshakeObserver(role: role) }

    func sent(_ bytes: RawSpan) {
        watch { (observer) throws(HandshakeObserverError) in try observer.sawSent(bytes) }
    }

    func received(_ bytes: RawSpan) {
        watch { (observer) throws(HandshakeObserverError) in try observer.sawReceived(bytes) }
    }

    func logged(_ line: RawSpan) {
        guard isObserving else { return }
        lines.append(SecretLine(SecretBytes(copying: line)))
        watch { _ in }
    }

    private var isObserving: Bool {
        switch observer {
        case .some: true
        case .none: false
        }
    }

    /// Why OpenSSL has to go on before its connection can be taken.
    var obstacle: HandshakeObserverError? {
        switch observer {
        case .some(let observer): observer.obstacle
        case .none: nil
        }
    }

    private func watch(_ body: (inout HandshakeObserver) throws(HandshakeObserverError) -> Void) {
        guard var observer = observer.take() else { return }
        do throws(HandshakeObserverError) {
            try body(&observer)
            // The library logs a secret before the hello has passed by which it is known to be of use.
            if observer.info != nil {
                for line in lines {
                    try line.bytes.withUnsafeBytes { (line) throws(HandshakeObserverError) in
                        try observer.keyLog(line.bytes)
                    }
                }
                lines = []
            }
            self.observer = consume observer
        } catch {
            self.error = error
            lines = []
        }
    }

    func snapshot(of ssl: OpaquePointer) throws(HandshakeObserverError) -> Snapshot {
        if let error { throw error }
        guard let observer = observer.take() else { throw .incomplete }
        return try observer.snapshot(ofLibrary: ssl)
    }
}

/// `baton_observation_new` of `baton_observation.h`.
@_cdecl("baton_observation_new")
public func batonObservationNew(_ isServer: CInt) -> UnsafeMutableRawPointer? {
    Unmanaged.passRetained(Observation(isServer != 0 ? .server : .client)).toOpaque()
}

/// `baton_observation_free` of `baton_observation.h`.
@_cdecl("baton_observation_free")
public func batonObservationFree(_ observation: UnsafeMutableRawPointer?) {
    guard let observation else { return }
    Unmanaged<Observation>.fromOpaque(observation).release()
}

private func observation(_ pointer: UnsafeMutableRawPointer) -> Observation {
    Unmanaged<Observation>.fromOpaque(pointer).takeUnretainedValue()
}

/// `baton_observation_sent` of `baton_observation.h`.
@_cdecl("baton_observation_sent")
public func batonObservationSent(_ pointer: UnsafeMutableRawPointer, _ bytes: UnsafeRawPointer, _ count: Int) {
    observation(pointer).sent(UnsafeRawBufferPointer(start: bytes, count: count).bytes)
}

/// `baton_observation_received` of `baton_observation.h`.
@_cdecl("baton_observation_received")
public func batonObservationReceived(_ pointer: UnsafeMutableRawPointer, _ bytes: UnsafeRawPointer, _ count: Int) {
    observation(pointer).received(UnsafeRawBufferPointer(start: bytes, count: count).bytes)
}

/// `baton_observation_logged` of `baton_observation.h`.
@_cdecl("baton_observation_logged")
public func batonObservationLogged(_ pointer: UnsafeMutableRawPointer, _ line: UnsafePointer<CChar>) {
    observation(pointer).logged(UnsafeRawBufferPointer(start: line, count: strlen(line)).bytes)
}

/// `baton_openssl_prepare` of `baton_openssl.h`.
@_cdecl("baton_openssl_prepare")
public func batonOpenSSLPrepare(_ context: OpaquePointer?, _ error: UnsafeMutablePointer<baton_error>?) -> CInt {
    answer(error) { () throws(Failure) in
        guard let context else { throw .argument("the SSL_CTX is NULL") }
        guard baton_observer_prepare(context) == 1 else {
            throw Failure(BATON_ERROR_SYSTEM, "OpenSSL has no room for the observer", systemError: ENOMEM)
        }
        return BATON_OK
    }
}

/// `baton_openssl_observe` of `baton_openssl.h`.
@_cdecl("baton_openssl_observe")
public func batonOpenSSLObserve(_ ssl: OpaquePointer?, _ error: UnsafeMutablePointer<baton_error>?) -> CInt {
    answer(error) { () throws(Failure) in
        guard let ssl else { throw .argument("the SSL is NULL") }
        guard baton_observer_is_prepared(SSL_get_SSL_CTX(ssl)) == 1 else {
            throw .argument("the context is not prepared; call baton_openssl_prepare first")
        }
        guard SSL_get_rbio(ssl) != nil, SSL_get_wbio(ssl) != nil else {
            throw .argument("the SSL has no transport; set its BIOs or its descriptor first")
        }
        guard SSL_in_before(ssl) == 1 else { throw .argument("the handshake has begun; observe before it does") }
        guard baton_observer_of(ssl) == nil else { throw .argument("the SSL is observed already") }
        guard baton_observer_begin(ssl) == 1 else {
            throw Failure(BATON_ERROR_SYSTEM, "OpenSSL has no room for the observer", systemError: ENOMEM)
        }
        return BATON_OK
    }
}

/// `baton_openssl_adopt` of `baton_openssl.h`.
@_cdecl("baton_openssl_adopt")
public func batonOpenSSLAdopt(_ ssl: OpaquePointer?, _ error: UnsafeMutablePointer<baton_error>?) -> OpaquePointer? {
    make(error) { () throws(Failure) in
        guard let ssl else { throw .argument("the SSL is NULL") }
        guard let pointer = baton_observer_of(ssl) else {
            throw .argument("the SSL is not observed; call baton_openssl_observe before its handshake")
        }
        if let reason = whyNotYet(ssl, observation(pointer)) { throw Failure(BATON_ERROR_NOT_YET, reason) }
        // Whatever comes of it, it is observed no longer.
        defer { baton_observer_end(ssl) }
        if let reason = whyNever(ssl) { throw Failure(BATON_ERROR_HANDSHAKE, reason) }
        var snapshot: Snapshot
        do throws(HandshakeObserverError) {
            snapshot = try observation(pointer).snapshot(of: ssl)
        } catch {
            throw Failure(BATON_ERROR_HANDSHAKE, "\(error)")
        }
        // From here on two could write.
        baton_observer_seal_off(ssl)
        defer { SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN) }
        var unread = ByteQueue()
        switch takeDecrypted(of: ssl, into: &unread) {
        case SSL_ERROR_WANT_READ: takeRest(of: ssl, into: &snapshot)
        case SSL_ERROR_ZERO_RETURN: snapshot.endReading()
        default:
            throw Failure(BATON_ERROR_PROTOCOL, "OpenSSL cannot decrypt what it has read; the connection is lost")
        }
        return ConnectionHandle(Connection(resuming: snapshot), unread: unread)
    }
}

/// Why a connection cannot be taken before OpenSSL has gone on.
private func whyNotYet(_ ssl: OpaquePointer, _ observation: Observation) -> String? {
    if SSL_is_init_finished(ssl) != 1 { return "the handshake is not done; go on with it" }
    if baton_observer_is_writing(ssl) != 0 { return "OpenSSL has begun to write; let it write until it wants no more" }
    return observation.obstacle.map { "\($0)" }
}

/// Why a connection stays with OpenSSL.
private func whyNever(_ ssl: OpaquePointer) -> String? {
    if baton_observer_is_prepared(SSL_get_SSL_CTX(ssl)) != 1 {
        return "the context that the SSL was switched to is not prepared; call baton_openssl_prepare for each"
    }
    if baton_observer_sees_all(ssl) != 1 { return "the BIOs of the SSL were replaced while it was observed" }
    if SSL_get_shutdown(ssl) != 0 { return "the connection is being closed; let OpenSSL end it" }
    return nil
}

/// Takes the plaintext that an SSL has decrypted, or has all of to decrypt, and returns the error of OpenSSL that ended it. The
/// observer has seen its records and counts them as the library's.
private func takeDecrypted(of ssl: OpaquePointer, into unread: inout ByteQueue) -> CInt {
    // Without this a ticket would look like the end.
    SSL_ctrl(ssl, SSL_CTRL_MODE, Int(SSL_MODE_AUTO_RETRY), nil)
    ERR_clear_error()
    defer { ERR_clear_error() }
    while true {
        var result: CInt = 0
        unread.append(minimum: 16_384) { space in
            result = SSL_read(ssl, space.baseAddress, 16_384)
            return Int(max(0, result))
        }
        guard result > 0 else { return SSL_get_error(ssl, result) }
    }
}

/// Takes what waits in memory for an SSL to read it.
private func takeRest(of ssl: OpaquePointer, into snapshot: inout Snapshot) {
    var rest = ByteQueue()
    while rest.append(minimum: 16_384, { baton_observer_take_rest(ssl, $0.baseAddress, 16_384) }) > 0 {}
    rest.withBytes { snapshot.appendInbound($0) }
}
