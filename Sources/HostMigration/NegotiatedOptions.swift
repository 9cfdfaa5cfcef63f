/// What the two sides agreed upon in their handshake.
package struct NegotiatedOptions: Sendable, Equatable {
    /// The peer's maximum segment size, in bytes.
    package var mss: UInt16
    /// Selective acknowledgement (RFC 2018).
    package var usesSACK: Bool
    /// Timestamps (RFC 7323 3).
    package var usesTimestamps: Bool
    /// Scale of the windows the peer advertises, 0 to 14 (RFC 7323 2); 0 also if scaling was not negotiated.
    package var sendScale: UInt8
    /// Scale of the windows we advertise, 0 to 14.
    package var receiveScale: UInt8

    /// What a handshake agreed upon.
    package init(mss: UInt16, usesSACK: Bool, usesTimestamps: Bool, sendScale: UInt8, receiveScale: UInt8) {
        self.mss = mss
        self.usesSACK = usesSACK
        self.usesTimestamps = usesTimestamps
        self.sendScale = sendScale
        self.receiveScale = receiveScale
    }
}
