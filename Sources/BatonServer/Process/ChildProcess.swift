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
    /// terminal's Ctrl-C reaches the front only. Signals reach it when it catches them.
    ///
    /// - Parameters:
    ///   - name: what it is told that it was started as; `nil`: as this process.
    ///   - extra: a descriptor that it has as its 3; ours stays open.
    static func start(
        _ binary: String, as name: String? = nil, _ arguments: [String], extra: CInt = -1
    ) throws(RuntimeError) -> ChildProcess {
        let ends = try UnixSocket.pair(SOCK_STREAM)
        defer { close(ends.1) }
        let pid: pid_t
        do throws(RuntimeError) {
            pid = try spawn(binary, as: name, arguments, standardInput: ends.1, extra: extra)
        } catch {
            close(ends.0)
            throw error
        }
        return ChildProcess(pid: pid, link: ends.0)
    }

    /// As `start`, with a descriptor of the caller's as its standard input.
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

    /// Calls `ended` once, from a thread of its own, with what waitpid(2) says of the end.
    func watch(_ ended: @escaping @Sendable (ProcessEnding) -> Void) { Self.watch(pid, ended) }

    /// As `watch`, of any child.
    static func watch(_ pid: pid_t, _ ended: @escaping @Sendable (ProcessEnding) -> Void) {
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
