internal import Libc

/// How many descriptors the process may have (RLIMIT_NOFILE).
enum DescriptorLimit {
    /// What is left to commands, the admin address, hand-overs and files when connections have taken the rest.
    struct Reserve {
        /// A new descriptor with this number or a higher one is the last that a connection takes.
        let highest: CInt

        private static let most: UInt = 128

        init(of limit: UInt) {
            highest = CInt(clamping: limit - min(Self.most, limit / 4))
        }

        /// The lowest limit that leaves `count` beside the reserve.
        static func limit(leaving count: UInt) -> UInt { count + min(most, count / 3) }
    }

    /// Raises the soft limit to the hard one. The soft limit of most systems, 1,024, is for programs that use select(2);
    /// every connection here takes a descriptor, and one to an upstream takes two. Processes started later inherit it.
    ///
    /// - Returns: how many descriptors there may be.
    @discardableResult
    static func raise() -> UInt {
        let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        guard getrlimit(kind, &limit) == 0 else { return 0 }
        guard limit.rlim_cur < limit.rlim_max else { return limit.rlim_cur }
        let soft = limit.rlim_cur
        limit.rlim_cur = limit.rlim_max
        return setrlimit(kind, &limit) == 0 ? limit.rlim_max : soft
    }

    /// How many there may be now.
    static var current: UInt {
        var limit = rlimit()
        return getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 ? limit.rlim_cur : 0
    }

    /// How many there are: the numbers in /proc/self/fd, without the one that it takes to read them.
    static var open: Int {
        guard let directory = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        // Beside `.` and `..`.
        return max(0, count - 3)
    }

    /// How many there may be once `raise` has been called.
    static var hard: UInt {
        var limit = rlimit()
        return getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 ? limit.rlim_max : 0
    }

    /// Of `current`.
    static var reserve: Reserve { Reserve(of: current) }
}
