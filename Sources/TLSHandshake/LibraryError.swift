internal import COpenSSL

/// What OpenSSL put on the error queue of this thread. Only library and reason codes are taken: they hold no data.
struct LibraryError {
    /// The reason code of the newest error in libssl, or of the newest error at all.
    var reason: Int32
    /// Whether `reason` is one of libssl's.
    var isSSL: Bool
    /// OpenSSL's words for it.
    var text: String

    /// Takes every error from the queue. Call it right after the failure, on the same thread.
    static func takeAll() -> LibraryError {
        var last: UInt = 0
        while true {
            let code = ERR_get_error()
            if code == 0 { break }
            // A reason of libssl says more than one of libcrypto beneath it.
            if last == 0 || isSSL(code) || !isSSL(last) { last = code }
        }
        let text = ERR_reason_error_string(last).map { String(cString: $0) } ?? "no reason given"
        return LibraryError(reason: Int32(truncatingIfNeeded: last & 0x7F_FFFF), isSSL: isSSL(last), text: text)
    }

    /// Fields of an error code, `ERR_GET_LIB` and `ERR_GET_REASON`.
    private static func isSSL(_ code: UInt) -> Bool { code >> 23 & 0xFF == UInt(ERR_LIB_SSL) }
}
