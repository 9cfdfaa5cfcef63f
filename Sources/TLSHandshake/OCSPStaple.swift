internal import COpenSSL
internal import Libc
internal import Synchronization
internal import TLSRecords

/// The OCSP response that is sent with a certificate (RFC 6066 section 8), from a file that others keep up to date, or that keeps what
/// was fetched.
///
/// Only a response that says that this certificate is good is sent, and only until it expires: clients that require one do
/// better without than with a wrong one, which some of them take for an attack.
final class OCSPStaple: Sendable {
    private struct State {
        var stamp: SmallFile.Stamp?
        var response: [UInt8] = []
        /// When what it says was so, and until when that holds.
        var (start, expiry) = (Int64.min, Int64.min)
        /// What was last told to be wrong.
        var told: String?
    }

    private let file: SmallFile
    private let isFetched: Bool
    private let state = Mutex(State())

    /// - Parameter isFetched: whether the server writes the file itself, so that it may be missing.
    init(_ path: String, isFetched: Bool = false) {
        file = SmallFile(path)
        self.isFetched = isFetched
    }

    var path: String { file.path }

    /// From when to when the response that is sent holds; nil: none is sent.
    func term(at now: Int64) -> ClosedRange<Int64>? {
        state.withLock { $0.expiry > now ? min($0.start, $0.expiry)...$0.expiry : nil }
    }

    /// Sends a response that has been checked, from now on.
    func use(_ response: [UInt8], _ term: ClosedRange<Int64>) {
        state.withLock { state in
            state.response = response
            (state.start, state.expiry) = (term.lowerBound, term.upperBound)
            state.told = nil
        }
    }

    /// Sends none.
    func drop() {
        state.withLock { state in
            state.response = []
            (state.start, state.expiry) = (.min, .min)
        }
    }

    /// The response to send; nil for none.
    func response(at now: Int64) -> [UInt8]? {
        state.withLock { $0.expiry > now ? $0.response : nil }
    }

    /// Until when the response is sent; nil: none is.
    func expiry(at now: Int64) -> Int64? { state.withLock { $0.expiry > now ? $0.expiry : nil } }

    /// What is wrong with the file, as it was last read.
    var problem: String? { state.withLock { $0.told } }

    /// Reads the file again if it has changed. It blocks.
    ///
    /// - Parameter issuer: without it the issuer's signature cannot be checked.
    /// - Returns: what is wrong, once.
    func refresh(_ certificate: OpaquePointer, issuer: OpaquePointer?) -> String? {
        let stamp = file.stamp
        let isChanged = stamp == nil ? !isFetched : state.withLock { $0.stamp != stamp }
        let now = Int64(time(nil))
        var wrong: String?
        if isChanged {
            do throws(Unusable) {
                let response = try read()
                let term = try OCSPStaple.check(response, certificate, issuer: issuer, at: now)
                use(response, term)
                state.withLock { $0.stamp = stamp }
            } catch {
                // Nobody is to vouch for what its authority has taken back.
                if error.isRevoked { drop() }
                // What was there before is sent until it expires. The file is read again at the next look: what was wrong
                // may be the clock, or a lack of descriptors, and not the file.
                wrong = error.reason
            }
        } else if state.withLock({ !$0.response.isEmpty && $0.expiry <= now }) {
            wrong = "it has expired"
        }
        return state.withLock { state in
            defer { state.told = wrong }
            guard let wrong, state.told != wrong else { return nil }
            return "the OCSP response in \(file.path) is not stapled: \(wrong)" + (isFetched ? "" : "; fetch it again")
        }
    }

    /// Why a response is not sent.
    struct Unusable: Error {
        var reason: String
        var isRevoked = false
        init(_ reason: String) { self.reason = reason }

        static let revoked = {
            var unusable = Unusable("it says that the certificate is revoked")
            unusable.isRevoked = true
            return unusable
        }()
    }

    private func read() throws(Unusable) -> [UInt8] {
        do throws(TLSConfigurationError) {
            return try file.read().withUnsafeBytes { Array($0) }
        } catch {
            throw Unusable(error.message)
        }
    }

    /// From when to when a response holds that may be sent.
    static func check(
        _ bytes: [UInt8], _ certificate: OpaquePointer, issuer: OpaquePointer?, at now: Int64
    ) throws(Unusable) -> ClosedRange<Int64> {
        defer { ERR_clear_error() }
        let response = bytes.withUnsafeBytes { buffer -> OpaquePointer? in
            var position = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
            guard let response = d2i_OCSP_RESPONSE(nil, &position, buffer.count) else { return nil }
            return response
        }
        guard let response else { throw Unusable("it is no OCSP response in DER") }
        defer { OCSP_RESPONSE_free(response) }
        guard OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL,
            let basic = OCSP_response_get1_basic(response)
        else { throw Unusable("its responder answered with an error") }
        defer { OCSP_BASICRESP_free(basic) }
        if let issuer, !OCSPStaple.isSigned(basic, by: issuer) {
            throw Unusable("it is not signed by the issuer of the certificate")
        }
        for index in 0..<OCSP_resp_count(basic) {
            guard let single = OCSP_resp_get0(basic, index),
                OCSPStaple.isAbout(single, certificate, issuer: issuer)
            else { continue }
            var (this, next): (UnsafeMutablePointer<ASN1_TIME>?, UnsafeMutablePointer<ASN1_TIME>?)
            let status = OCSP_single_get0_status(single, nil, nil, &this, &next)
            guard status == V_OCSP_CERTSTATUS_GOOD else {
                throw status == V_OCSP_CERTSTATUS_REVOKED
                    ? Unusable.revoked : Unusable("its responder does not know the certificate")
            }
            // Without a next update there is always a newer one (RFC 6960 section 4.2.2.1): it is good for a day.
            guard let this = CertificateFacts.seconds(this),
                let expiry = next == nil ? this + 86_400 : CertificateFacts.seconds(next)
            else { throw Unusable("its times cannot be read") }
            // Clocks may differ a little.
            guard this <= now + 300 else { throw Unusable("it is not valid yet") }
            guard expiry > now else { throw Unusable("it has expired") }
            return min(this, expiry)...expiry
        }
        throw Unusable("it is about another certificate")
    }

    private static func isSigned(_ basic: OpaquePointer, by issuer: OpaquePointer) -> Bool {
        guard let store = X509_STORE_new(), let chain = OPENSSL_sk_new_null() else { return false }
        defer {
            X509_STORE_free(store)
            OPENSSL_sk_free(chain)
        }
        X509_STORE_add_cert(store, issuer)
        X509_STORE_set_flags(store, UInt(X509_V_FLAG_PARTIAL_CHAIN))
        OPENSSL_sk_push(chain, UnsafeRawPointer(issuer))
        return OCSP_basic_verify(basic, chain, store, 0) == 1
    }

    private static func isAbout(_ single: OpaquePointer, _ certificate: OpaquePointer, issuer: OpaquePointer?) -> Bool {
        // The functions below only read it, and take no constant.
        guard let id = OCSP_SINGLERESP_get0_id(single) else { return false }
        var serial: UnsafeMutablePointer<ASN1_INTEGER>?
        var algorithm: OpaquePointer?
        guard OCSP_id_get0_info(nil, &algorithm, nil, &serial, id) == 1, let serial,
            ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(certificate)) == 0
        else { return false }
        guard let issuer else { return true }
        guard let digest = EVP_get_digestbyname(OBJ_nid2sn(OBJ_obj2nid(algorithm))),
            let expected = OCSP_cert_to_id(digest, certificate, issuer)
        else { return false }
        defer { OCSP_CERTID_free(expected) }
        return OCSP_id_cmp(id, expected) == 0
    }
}
