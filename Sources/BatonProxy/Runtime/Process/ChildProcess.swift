internal import CLinuxSockets
internal import Glibc

/// A process of this program, started with one end of a stream socket as its standard input: the control link. Nothing
/// else is inherited but standard output and standard error.
struct ChildProcess: Sendable {
    let pid: pid_t
    /// Our end of the control link. Whoever takes the value owns it.
    let link: CInt

    /// This very binary, also when the file has been replaced since.
    static let thisBinary = "/proc/self/exe"

    /// Starts `binary` with `arguments`, which do not include its name. It leads a process group of its own, so that a
    /// terminal's Ctrl-C reaches the front only, and starts with default signal handling.
    static func start(_ binary: String, _ arguments: [String]) throws(RuntimeError) -> ChildProcess {
        var ends: [CInt] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw .system("cannot make a control link")
        }
        defer { close(ends[1]) }
        var words = ([CommandLine.arguments.first ?? "baton"] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        let pid = baton_spawn(binary, &words, ends[1])
        guard pid > 0 else {
            close(ends[0])
            throw RuntimeError(.processFailed, "cannot start \(binary): \(String(cString: strerror(-pid)))")
        }
        return ChildProcess(pid: pid, link: ends[0])
    }

    /// Calls `ended` once, from a thread of its own, with what waitpid(2) says of the end.
    func watch(_ ended: @escaping @Sendable (ProcessEnding) -> Void) {
        let pid = self.pid
        startThread("baton-wait") {
            var status: CInt = 0
            while waitpid(pid, &status, 0) < 0 {
                guard errno == EINTR else { return ended(.unknown) }
            }
            ended(ProcessEnding(status: status))
        }
    }
}

extension RuntimeError {
    static func system(_ what: String) -> RuntimeError {
        RuntimeError(.system, "\(what): \(String(cString: strerror(errno)))")
    }
}
