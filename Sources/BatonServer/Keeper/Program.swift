internal import CLinuxSockets
internal import Libc

/// A program as a process of the server is started from it: its file, held open, whatever becomes of the path, and the words
/// of its command line.
struct Program {
    /// O_PATH; -1: the file that this process runs.
    var file: CInt
    /// What it is told that it was started as.
    var name: String
    /// What follows the command.
    var arguments: [String]

    /// The descriptor of this process's own program, which is the caller's.
    static func ownFile() -> CInt? {
        let descriptor = baton_own_program()
        return descriptor >= 0 ? descriptor : nil
    }

    /// Starts a process of it, or of the file at `binary`.
    ///
    /// - Returns: its id, or an errno value.
    func start(
        _ words: [String], binary: String? = nil, as other: String? = nil, standardInput: CInt, extra: CInt,
        diesWithParent: Bool = false
    ) -> Result<pid_t, SystemCode> {
        var arguments = ([other ?? name] + words).map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        let pid = baton_start(
            binary == nil ? file : -1, binary ?? ChildProcess.thisBinary, &arguments, standardInput, extra,
            diesWithParent ? 1 : 0)
        return pid > 0 ? .success(pid) : .failure(SystemCode(-pid))
    }
}
