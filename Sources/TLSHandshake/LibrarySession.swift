internal import BatonCore
internal import COpenSSL
internal import Libc
internal import TLSRecords

/// One `SSL` over two memory BIOs, and what its callbacks told. It belongs to one `Handshake` and ends with it: nothing
/// of the library is left once the connection has been taken over.
final class LibrarySession: @unchecked Sendable {
    let ssl: OpaquePointer
    private let input: OpaquePointer
    private let output: OpaquePointer

    /// Lines of the key log not yet given to the observer, each with its end of line.
    private var keyLog = ByteQueue()

    /// For the callbacks.
    let server: ServerContext?
    /// The application's say in the peer's certificate.
    let verifier: CertificateVerifier?
    let peerDetail: PeerCertificateDetail
    /// Why the application has refused the peer's certificate.
    var rejection: String?
    /// A client: the name its server was asked for.
    var expectedName: String?
    var hello: OfferedHello?
    var ticketKeyName: [UInt8]?
    /// A callback refused for a reason that the library's own error does not tell.
    var hadNoCommonProtocol = false
    var hadUnknownName = false
    var hasChangedHello = false
    /// The certificate of an offered session is not trusted any more.
    var hasRefusedCertificate = false
    var alertSent: Alert?
    var alertReceived: Alert?
    /// A client: digest of the name and the roots its server is verified by. See `ClientSession.identity`.
    var expectedIdentity: [UInt8] = []
    /// What the records that the library has opened show beside. See `LibrarySession+Records.swift`.
    var isInsideMessage = false
    var hasInterleaved = false
    /// The session a client may resume: made by the handshake in TLS 1.2, by a ticket in TLS 1.3.
    var newSession: ClientSession?

    init?(_ context: LibraryContext, server: ServerContext? = nil, client: ClientContext? = nil) {
        guard let ssl = SSL_new(context.pointer) else { return nil }
        guard let input = BIO_new(BIO_s_mem()), let output = BIO_new(BIO_s_mem()) else {
            SSL_free(ssl)
            return nil
        }
        self.ssl = ssl
        self.input = input
        self.output = output
        self.server = server
        verifier = server?.verifier ?? client?.verifier
        peerDetail = server?.peerDetail ?? client?.peerDetail ?? .subject
        SSL_set_bio(ssl, input, output)
        if let trust = server?.clientTrust, !trust.apply(to: ssl) { return nil }
        SSL_set_ex_data(ssl, LibrarySession.index, Unmanaged.passUnretained(self).toOpaque())
        watchRecords()
    }

    deinit { SSL_free(ssl) }

    private static let index = baton_ssl_new_ex_data_index()

    /// The session of a callback's `SSL`.
    static func of(_ ssl: OpaquePointer) -> LibrarySession? {
        SSL_get_ex_data(ssl, index).map { Unmanaged<LibrarySession>.fromOpaque($0).takeUnretainedValue() }
    }

    // MARK: Bytes

    func write(_ record: UnsafeRawBufferPointer) -> Bool {
        BIO_write(input, record.baseAddress, Int32(clamping: record.count)) == record.count
    }

    /// Moves what the library wants to send to the end of `queue`.
    func moveOutput(to queue: inout ByteQueue) {
        let waiting = BIO_ctrl_pending(output)
        guard waiting > 0 else { return }
        queue.append(minimum: waiting) { space in
            max(0, Int(BIO_read(output, space.baseAddress, Int32(clamping: waiting))))
        }
    }

    /// What one call into the library came to.
    enum Outcome {
        case done
        case needsInput
        case failed(LibraryError)
    }

    func handshake() -> Outcome { call { SSL_do_handshake(ssl) } }

    /// Processes a message that follows the handshake. There is no application data to return in it.
    func readMessage() -> Outcome {
        var byte: UInt8 = 0
        return call { SSL_read(ssl, &byte, 1) }
    }

    private func call(_ body: () -> Int32) -> Outcome {
        ERR_clear_error()
        let result = body()
        guard result != 1 else { return .done }
        let error = SSL_get_error(ssl, result)
        guard error != SSL_ERROR_WANT_READ else { return .needsInput }
        return .failed(LibraryError.takeAll())
    }

    /// Ends the library's part without a word to the peer. An `SSL` freed without having seen a close would mark its
    /// session as one not to be resumed.
    func retire() { SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN) }

    // MARK: Key log

    func logged(_ line: UnsafePointer<CChar>) {
        keyLog.append(UnsafeRawBufferPointer(start: line, count: strlen(line)))
        var end = UInt8(ascii: "\n")
        withUnsafeBytes(of: &end) { keyLog.append($0) }
    }

    /// Every logged line, once.
    func takeKeyLog() -> ByteQueue {
        var lines = ByteQueue()
        swap(&lines, &keyLog)
        return lines
    }
}
