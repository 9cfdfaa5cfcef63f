import Glibc

/// A setting under /proc/sys/net, read in the network namespace of the calling thread.
struct NetworkSetting: Sendable {
    let path: String

    static let tcpTimestamps = NetworkSetting(path: "ipv4/tcp_timestamps")

    /// The setting's number; nil if this kernel does not have it.
    var value: Int? {
        let file = open("/proc/sys/net/" + path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var text = [UInt8](repeating: 0, count: 32)
        let count = read(file, &text, text.count)
        guard count > 0 else { return nil }
        return Int(String(decoding: text[..<count].prefix { $0 > 0x20 }, as: UTF8.self))
    }

    /// Changes the setting.
    func set(_ value: Int) throws(MigrationError) {
        let file = try checkedErrno(open("/proc/sys/net/" + path, O_WRONLY | O_CLOEXEC), path)
        defer { close(file) }
        let text = Array(String(value).utf8)
        try checkedErrno(Int32(write(file, text, text.count)), path)
    }
}
