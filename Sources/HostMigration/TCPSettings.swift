/// What a network namespace is set to, as far as it matters to connections that are restored there.
public struct TCPSettings: Sendable, Equatable {
    /// net.ipv4.tcp_timestamps.
    public let usesTimestamps: Bool
    /// The largest receive buffer that the kernel chooses, in bytes: net.ipv4.tcp_rmem.
    public let largestReceiveBuffer: Int

    /// Reads those of the calling thread's namespace.
    public init() {
        usesTimestamps = NetworkSetting.tcpTimestamps.value != 0
        largestReceiveBuffer = NetworkSetting.tcpReceiveBuffer.values.last ?? 6 << 20
    }
}
