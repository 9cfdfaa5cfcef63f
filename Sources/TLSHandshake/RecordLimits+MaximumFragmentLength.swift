internal import TLSRecords

extension RecordLimits {
    /// The limits that the max_fragment_length extension sets: both sides keep to 2^9 to 2^12 bytes of content (RFC 6066
    /// section 4).
    init(_ version: TLSVersion, maximumFragmentLengthCode code: UInt8?) {
        self.init(version)
        guard let code, (1...4).contains(code) else { return }
        // The limits here count the content type in TLS 1.3; that extension does not.
        let limit = (256 << Int(code)) + (version == .tls13 ? 1 : 0)
        sending = limit
        receiving = limit
    }
}
