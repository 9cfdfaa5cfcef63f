internal import Glibc

/// The places at which a death could do harm: between the stores that publish, and around the system calls that move bytes.
///
/// In a debug build a test has a process die at one of its choice; otherwise there is nothing here.
package enum Step {
    #if DEBUG
        /// How many steps this process goes before it kills itself; `nil`: it does not.
        nonisolated(unsafe) package static var left: Int?
    #endif

    @inline(__always)
    static func pass() {
        #if DEBUG
            guard let steps = left else { return }
            if steps == 0 { kill(getpid(), SIGKILL) }
            left = steps - 1
        #endif
    }
}
