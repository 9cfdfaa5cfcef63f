/// What a network namespace is set to, as far as it matters to connections that are restored there.
package struct TCPSettings: Sendable, Equatable {
    /// net.ipv4.tcp_timestamps.
    package let usesTimestamps: Bool
    /// The largest receive buffer that the kernel chooses, in bytes: net.ipv4.tcp_rmem.
    package let largestReceiveBuffer: Int

    /// Reads those of the calling thread's namespace.
    package init() {
        usesTimestamps = NetworkSetting.tcpTimestamps.value != 0
        largestReceiveBuffer = NetworkSetting.tcpReceiveBuffer.values.last ?? 6 << 20
    }
}
