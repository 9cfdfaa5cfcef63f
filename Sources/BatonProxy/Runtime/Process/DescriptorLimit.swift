internal import Glibc

/// How many descriptors the process may have (RLIMIT_NOFILE).
enum DescriptorLimit {
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
}
