internal import Glibc

/// The limit on open files (RLIMIT_NOFILE).
enum OpenFileLimit {
    /// Raises it as far as this user may: every proxied connection has two sockets, and the usual soft limit of 1,024 is
    /// for programs that use select(2).
    static func raise() {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        guard getrlimit(resource, &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(resource, &limit)
    }
}
