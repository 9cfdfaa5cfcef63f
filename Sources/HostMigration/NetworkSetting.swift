import Libc

/// A setting under /proc/sys/net, read in the network namespace of the calling thread.
struct NetworkSetting: Sendable {
    let path: String

    static let tcpTimestamps = NetworkSetting(path: "ipv4/tcp_timestamps")

    /// The least, the default and the largest receive buffer that the kernel chooses.
    static let tcpReceiveBuffer = NetworkSetting(path: "ipv4/tcp_rmem")

    /// The setting's number; nil if this kernel does not have it.
    var value: Int? { values.first }

    /// The numbers of a setting that has several; none if this kernel does not have it.
    var values: [Int] {
        let file = open("/proc/sys/net/" + path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        var text = [UInt8](repeating: 0, count: 96)
        let count = read(file, &text, text.count)
        guard count > 0 else { return [] }
        return String(decoding: text[..<count], as: UTF8.self).split(whereSeparator: \.isWhitespace).compactMap {
            Int($0)
        }
    }

    /// Changes the setting.
    func set(_ value: Int) throws(MigrationError) {
        let file = try checkedErrno(open("/proc/sys/net/" + path, O_WRONLY | O_CLOEXEC), path)
        defer { close(file) }
        let text = Array(String(value).utf8)
        try checkedErrno(Int32(write(file, text, text.count)), path)
    }
}
