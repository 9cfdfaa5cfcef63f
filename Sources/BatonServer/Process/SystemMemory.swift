internal import Libc

/// How much memory there is for this process.
enum SystemMemory {
    /// Bytes that the machine has, or that the process's cgroup may use if that is less.
    static let total: Int = {
        let machine = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE))
        return cgroupLimits(of: text("/proc/self/cgroup")).reduce(machine > 0 ? machine : .max, min)
    }()

    /// The limits of the cgroup (version 2) that `membership`, a text as that of `/proc/self/cgroup`, names, and of those above
    /// it.
    private static func cgroupLimits(of membership: String) -> [Int] {
        guard let line = membership.split(separator: "\n").first(where: { $0.hasPrefix("0::/") }) else { return [] }
        var parts = line.dropFirst(4).split(separator: "/")
        var limits: [Int] = []
        while true {
            let folder = (["/sys/fs/cgroup"] + parts.map(String.init)).joined(separator: "/")
            let limit = text("\(folder)/memory.max").split(separator: "\n").first
            if let limit, let bytes = Int(limit) { limits.append(bytes) }
            guard parts.popLast() != nil else { return limits }
        }
    }

    private static func text(_ path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = read(descriptor, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }
}
