internal import CLinuxSockets
internal import Libc

/// A process that the keeper has started for its front, with one end of a stream socket as its standard input: the control
/// link. Nothing else is inherited but standard output and standard error.
struct ChildProcess: Sendable {
    /// The keeper's number for it.
    let process: UInt32
    let pid: pid_t
    /// Our end of the control link. Whoever takes the value owns it.
    let link: CInt

    /// This very binary, also when the file has been replaced since.
    static let thisBinary = "/proc/self/exe"

    /// Starts `binary` with `arguments`, which do not include its name, as a child of this process. It leads a process group of
    /// its own, so that a terminal's Ctrl-C does not reach it. Signals reach it when it catches them.
    ///
    /// - Parameters:
    ///   - name: what it is told that it was started as; `nil`: as this process.
    ///   - standardInput: remains the caller's.
    ///   - extra: a descriptor that it has as its 3; ours stays open.
    static func spawn(
        _ binary: String, as name: String? = nil, _ arguments: [String], standardInput: CInt, extra: CInt = -1
    ) throws(RuntimeError) -> pid_t {
        var words = ([name ?? CommandLine.arguments.first ?? "baton"] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        let pid = baton_spawn(binary, &words, standardInput, extra, 1)
        guard pid > 0 else {
            let reason =
                -pid == ENOEXEC ? "it is no program for this machine" : String(cString: strerror(-pid))
            throw RuntimeError(.processFailed, "cannot start \(binary): \(reason)")
        }
        return pid
    }
}

extension RuntimeError {
    static func system(_ what: String) -> RuntimeError {
        RuntimeError(.system, "\(what): \(String(cString: strerror(errno)))")
    }
}
