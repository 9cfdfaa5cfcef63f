internal import COpenSSL
public import TLSRecords

/// What a client needs to resume with the same server. It holds a secret and never prints it.
///
/// TLS 1.2 has one as soon as the handshake is done. In TLS 1.3 the server's tickets come later, as records of the
/// connection, see `Handshake.clientSession()`, and a session is offered once: reuse would let an observer link the
/// connections (RFC 8446 appendix C.4).
public final class ClientSession: @unchecked Sendable {
    // An SSL_SESSION counts its references under its own lock and is not changed after it was made.
    let pointer: OpaquePointer

    /// Takes over one reference.
    init(_ pointer: OpaquePointer) { self.pointer = pointer }

    /// A session from its serialised form.
    ///
    /// - Throws: `badSession` if the bytes are none.
    public init(copying serialised: RawSpan) throws(TLSConfigurationError) {
        let session = serialised.withUnsafeBytes { bytes -> OpaquePointer? in
            var position = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
            return d2i_SSL_SESSION(nil, &position, bytes.count)
        }
        guard let session else {
            _ = LibraryError.drain()
            throw TLSConfigurationError(
                code: .badSession, message: "the bytes are no stored session; do a full handshake to get a new one")
        }
        pointer = session
    }

    deinit { SSL_SESSION_free(pointer) }

    /// The serialised form, which lets its holder read what is sent in a resumed TLS 1.2 connection.
    public func serialised() -> SecretBytes {
        let count = max(0, Int(i2d_SSL_SESSION(pointer, nil)))
        return SecretBytes(count: count) { buffer in
            var position = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
            i2d_SSL_SESSION(pointer, &position)
        }
    }

    /// The version it can be used with.
    public var version: TLSVersion? {
        TLSVersion(rawValue: UInt16(truncatingIfNeeded: SSL_SESSION_get_protocol_version(pointer)))
    }
}

extension ClientSession: CustomStringConvertible {
    /// Its kind.
    public var description: String { "a session of TLS \(version.map(\.description) ?? "unknown")" }
}
