import CLinuxSockets
import Glibc

/// What every process that holds traffic secrets does first.
enum ProcessHardening {
    /// No core dumps, and no other process of the same user may attach or read the memory (PR_SET_DUMPABLE); writing to a
    /// closed pipe is an error to be handled and not a signal that kills.
    static func apply() {
        _ = baton_make_undumpable()
        signal(SIGPIPE, SIG_IGN)
    }
}
