public import BatonCore
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

    /// Whom the server was verified as, and against what. OpenSSL verifies nothing when it resumes, and checks neither:
    /// without this a session would let its server pass for any other.
    let identity: [UInt8]

    /// Takes over one reference.
    ///
    /// - Parameter identity: of the handshake that made the session, see `LibrarySession.expectedIdentity`.
    init(_ pointer: OpaquePointer, identity: [UInt8]) {
        self.pointer = pointer
        self.identity = identity
    }

    /// A session from its serialised form.
    ///
    /// - Throws: `badSession` if the bytes are none.
    public init(copying serialised: RawSpan) throws(TLSConfigurationError) {
        var identity: [UInt8] = []
        let session = serialised.withUnsafeBytes { bytes -> OpaquePointer? in
            guard bytes.count > ClientSession.identityLength else { return nil }
            identity = Array(bytes[..<ClientSession.identityLength])
            let session = UnsafeRawBufferPointer(rebasing: bytes[ClientSession.identityLength...])
            var position = session.baseAddress?.assumingMemoryBound(to: UInt8.self)
            return d2i_SSL_SESSION(nil, &position, session.count)
        }
        guard let session else {
            _ = LibraryError.takeAll()
            throw TLSConfigurationError(
                code: .badSession, message: "the bytes are no stored session; do a full handshake to get a new one")
        }
        pointer = session
        self.identity = identity
    }

    deinit { SSL_SESSION_free(pointer) }

    /// The serialised form, which lets its holder read what is sent in a resumed TLS 1.2 connection.
    public func serialised() -> SecretBytes {
        let count = max(0, Int(i2d_SSL_SESSION(pointer, nil)))
        return SecretBytes(count: identity.count + count) { buffer in
            buffer.copyBytes(from: identity)
            var position = buffer.baseAddress.map { ($0 + identity.count).assumingMemoryBound(to: UInt8.self) }
            i2d_SSL_SESSION(pointer, &position)
        }
    }

    static let identityLength = 32

    /// The version it can be used with.
    public var version: TLSVersion? {
        TLSVersion(rawValue: UInt16(truncatingIfNeeded: SSL_SESSION_get_protocol_version(pointer)))
    }
}

extension ClientSession: CustomStringConvertible {
    /// Its kind.
    public var description: String { "a session of TLS \(version.map(\.description) ?? "unknown")" }
}
