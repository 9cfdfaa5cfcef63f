internal import COpenSSL
internal import Libc
internal import Synchronization
internal import TLSRecords

/// Whose client certificates are taken: those of the authorities, unless a revocation list names them. The lists are read
/// again when their files change.
///
/// With lists, every certificate on the way to the root must be on none of them, and each issuer must have one that has not
/// expired (RFC 5280 section 6.3): who cannot be looked up is refused.
final class ClientTrust: Sendable {
    /// An `X509_STORE`, which is only read once it is here.
    private final class Store: @unchecked Sendable {
        let pointer: OpaquePointer
        init(_ pointer: OpaquePointer) { self.pointer = pointer }
        deinit { X509_STORE_free(pointer) }
    }

    private struct State {
        var store: Store
        var stamps: [SmallFile.Stamp?]
        /// Until when each list may be used.
        var expiries: [(path: String, time: Int64)]
        /// Subjects of authorities without a list.
        var unlisted: [String]
        var told: Set<String>
        /// Why the lists could not be read the last time.
        var failure: String?
    }

    /// What the authorities are, for the context of sessions.
    let digests: [UInt8]
    /// What was wrong at the making, and does not keep it from being used.
    let notices: [String]
    private let authorities: CertificateList
    private let depth: Int?
    private let lists: [SmallFile]
    private let state: Mutex<State>

    /// - Parameter depth: how many certificates may stand between a client's and the authority's; `nil`: as many as the library
    ///   takes.
    /// - Throws: for files that cannot be read or are something else.
    init(authorities: PEMSource?, revocationLists: [String], depth: Int?) throws(TLSConfigurationError) {
        self.depth = depth
        let certificates = if let authorities { try CertificateList(authorities) } else { try CertificateList() }
        self.authorities = certificates
        // Some public authorities' lists are large. Each look at one costs a hash over all of it, on the thread that makes
        // handshakes.
        lists = revocationLists.map { SmallFile($0, maximumLength: 16 << 20) }
        digests = (0..<certificates.count).compactMap { certificates[$0] }.flatMap(CertificateDigest.sha256)
        var state = try ClientTrust.load(certificates, lists)
        notices = ClientTrust.notices(&state, Int64(time(nil)))
        self.state = Mutex(state)
    }

    /// Has the library verify the peer by what holds now.
    func apply(to ssl: OpaquePointer) -> Bool { baton_ssl_set_verify_store(ssl, store.pointer) == 1 }

    /// Verifies a chain of certificates first without the revocation lists, and with them only if it leads to an authority.
    ///
    /// The library looks a certificate up before it checks any signature, and checks a list's own signature, over all of
    /// it, each time. Otherwise whoever knows an authority's name could have us do that without holding a certificate.
    static func verify(_ context: OpaquePointer) -> Bool {
        let flags = UInt(X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL)
        let parameters = X509_STORE_CTX_get0_param(context)
        guard X509_VERIFY_PARAM_get_flags(parameters) & flags != 0 else { return X509_verify_cert(context) == 1 }
        // A context verifies once.
        guard let first = X509_STORE_CTX_new() else { return false }
        defer { X509_STORE_CTX_free(first) }
        guard
            X509_STORE_CTX_init(
                first, X509_STORE_CTX_get0_store(context), X509_STORE_CTX_get0_cert(context),
                X509_STORE_CTX_get0_untrusted(context)) == 1,
            X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(first), parameters) == 1,
            X509_VERIFY_PARAM_clear_flags(X509_STORE_CTX_get0_param(first), flags) == 1
        else {
            X509_STORE_CTX_set_error(context, X509_V_ERR_OUT_OF_MEM)
            return false
        }
        guard X509_verify_cert(first) == 1 else {
            let error = X509_STORE_CTX_get_error(first)
            X509_STORE_CTX_set_error(context, error == X509_V_OK ? X509_V_ERR_UNSPECIFIED : error)
            // Whoever decides in the library's place sees how far it came.
            X509_STORE_CTX_set0_verified_chain(context, X509_STORE_CTX_get1_chain(first))
            return false
        }
        return X509_verify_cert(context) == 1
    }

    /// Whether a certificate that was good once still is. A session that is resumed verifies nothing by itself.
    ///
    /// Intermediates that the client sent then are not known any more: unless they are among the authorities the answer is
    /// no, and a full handshake follows.
    func accepts(_ certificate: OpaquePointer) -> Bool {
        guard let context = X509_STORE_CTX_new() else { return false }
        defer {
            X509_STORE_CTX_free(context)
            ERR_clear_error()
        }
        let store = store
        return withExtendedLifetime(store) {
            X509_STORE_CTX_init(context, store.pointer, certificate, nil) == 1
                && X509_STORE_CTX_set_default(context, "ssl_client") == 1 && limitDepth(of: context)
                && ClientTrust.verify(context)
        }
    }

    private func limitDepth(of context: OpaquePointer) -> Bool {
        if let depth { X509_STORE_CTX_set_depth(context, Int32(clamping: depth)) }
        return true
    }

    /// Reads the revocation lists again if a file has changed. It blocks.
    ///
    /// - Returns: what is wrong, each once.
    func refresh() -> [String] {
        guard !lists.isEmpty else { return [] }
        let stamps = lists.map(\.stamp)
        let now = Int64(time(nil))
        guard state.withLock({ $0.stamps != stamps }) else {
            return state.withLock { ClientTrust.notices(&$0, now) }
        }
        do throws(TLSConfigurationError) {
            var next = try ClientTrust.load(authorities, lists)
            next.told = state.withLock { $0.told }
            let notices = ClientTrust.notices(&next, now)
            state.withLock { $0 = next }
            return notices
        } catch {
            // The lists as they were are better than none. What is no list is read again when it changes, and what could
            // not be read at the next look: a lack of descriptors changes no file.
            return state.withLock { state in
                if error.code != .unreadableFile { state.stamps = stamps }
                let message = "the revocation lists are kept as they were: \(error.message)"
                defer { state.failure = message }
                return ClientTrust.notices(&state, now) + (state.failure == message ? [] : [message])
            }
        }
    }

    private var store: Store { state.withLock { $0.store } }

    private static func load(
        _ authorities: CertificateList, _ lists: [SmallFile]
    ) throws(TLSConfigurationError) -> State {
        guard let pointer = X509_STORE_new() else {
            throw TLSConfigurationError(code: .libraryFailure, message: "out of memory while reading certificates")
        }
        let store = Store(pointer)
        for index in 0..<authorities.count { X509_STORE_add_cert(pointer, authorities[index]) }
        // Before the content: a change in between is seen the next time.
        let stamps = lists.map(\.stamp)
        var expiries: [(path: String, time: Int64)] = []
        var all: [RevocationList] = []
        for file in lists {
            let read = try RevocationList.read(file)
            for list in read { X509_STORE_add_crl(pointer, list.pointer) }
            expiries.append((file.path, read.map(\.expiry).min() ?? .max))
            all += read
        }
        var unlisted: [String] = []
        if !lists.isEmpty {
            X509_STORE_set_flags(pointer, UInt(X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL))
            unlisted = (0..<authorities.count).compactMap { authorities[$0] }
                .filter { authority in !all.contains { $0.isIssued(by: authority) } }
                .map { CertificateDigest.peerCertificate($0).subject }
        }
        return State(store: store, stamps: stamps, expiries: expiries, unlisted: unlisted, told: [])
    }

    /// - Returns: what has not been told yet.
    private static func notices(_ state: inout State, _ now: Int64) -> [String] {
        let expired = state.expiries.filter { $0.time <= now }.map {
            "the revocation list in \($0.path) has expired; clients of its issuer are refused until it is fetched again"
        }
        let missing = state.unlisted.map {
            "there is no revocation list of the authority \($0); its clients are refused until one is given"
        }
        let wrong = Set(expired + missing)
        defer { state.told = wrong }
        return wrong.subtracting(state.told).sorted()
    }
}

/// A certificate revocation list (RFC 5280 section 5).
private final class RevocationList {
    let pointer: OpaquePointer
    private init(_ pointer: OpaquePointer) { self.pointer = pointer }
    deinit { X509_CRL_free(pointer) }

    /// By its name; the signature is checked when a certificate is looked up.
    func isIssued(by authority: OpaquePointer) -> Bool {
        X509_NAME_cmp(X509_CRL_get_issuer(pointer), X509_get_subject_name(authority)) == 0
    }

    var expiry: Int64 { CertificateFacts.seconds(X509_CRL_get0_nextUpdate(pointer)) ?? .max }

    /// The lists in a file: one in DER, or PEM with any number.
    static func read(_ file: SmallFile) throws(TLSConfigurationError) -> [RevocationList] {
        let bytes = try file.read()
        let lists = bytes.withUnsafeBytes { buffer -> [RevocationList] in
            defer { ERR_clear_error() }
            if buffer.first == 0x30 {
                var position = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
                return d2i_X509_CRL(nil, &position, buffer.count).map { [RevocationList($0)] } ?? []
            }
            guard let bio = BIO_new_mem_buf(buffer.baseAddress, Int32(clamping: buffer.count)) else { return [] }
            defer { BIO_free(bio) }
            var lists: [RevocationList] = []
            while let list = PEM_read_bio_X509_CRL(bio, nil, nil, nil) { lists.append(RevocationList(list)) }
            let error = ERR_peek_last_error()
            let isEnd = error & 0x7F_FFFF == UInt(PEM_R_NO_START_LINE) && error >> 23 & 0xFF == UInt(ERR_LIB_PEM)
            return isEnd ? lists : []
        }
        guard !lists.isEmpty else {
            throw TLSConfigurationError(
                code: .badRevocationList,
                message: "\(file.path) holds no certificate revocation list that can be read; give one in PEM or DER")
        }
        return lists
    }
}
