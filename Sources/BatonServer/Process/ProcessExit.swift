// Preconcurrency for `stdout`, a C global.
@preconcurrency internal import Libc

/// The one way in which a process of this program ends by itself.
package enum ProcessExit {
    /// Ends the process at once, with all its threads, after what was printed has been written.
    ///
    /// exit(3), which also follows a return from `main`, cleans up while other threads go on: it frees what libraries keep,
    /// and libcrypto's state of each thread, under a thread that ends connections or ends itself. Nothing of that needs
    /// doing: the kernel takes everything back. What is to be removed from the file system has been by then.
    ///
    /// - Parameter message: a last line on standard error, behind the log.
    package static func leave(_ status: Int32, saying message: String? = nil) -> Never {
        if let message, !ServeLog.say(message) {
            var line = Array((message + "\n").utf8)
            _ = write(STDERR_FILENO, &line, line.count)
        }
        // A reader of the log that stands still must not keep the process.
        AccessLog.process.flush(within: .seconds(1))
        ServeLog.flush(within: .seconds(1))
        fflush(stdout)
        _exit(status)
    }
}
