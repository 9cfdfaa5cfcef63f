internal import CLinuxSockets
// `stat` belongs to whichever C module was loaded first.
internal import CoreFoundation
internal import Libc

/// What the operator started, as it was written: a path, or a name that is looked up in PATH. An upgrade starts what is there
/// by then, so that a symbolic link that has been turned to a new release leads to that release.
///
/// This process's own children are started from the file that runs (`ChildProcess.thisBinary`), whatever has become of the
/// path.
struct StartedProgram: Sendable, Equatable {
    /// An absolute path in which no link has been followed, or a name without a slash.
    let name: String
    /// Where a name is looked up: absolute directories.
    let searchPath: [String]

    /// - Parameters:
    ///   - argument: the first word of the command line.
    ///   - directory: the absolute path of the directory that it was started in.
    ///   - path: the environment's PATH.
    init(_ argument: String, in directory: String, path: String?) {
        name = argument.utf8.contains(UInt8(ascii: "/")) ? Self.absolute(argument, in: directory) : argument
        // An empty entry is the directory itself.
        searchPath = (path ?? "/usr/local/bin:/usr/bin:/bin")
            .split(separator: ":", omittingEmptySubsequences: false).map { Self.absolute(String($0), in: directory) }
    }

    /// This process's. The first word of a command line may be anything: unless it leads to the file that runs, it is not
    /// believed, and that file's own path holds.
    ///
    /// - Parameter isStarted: by the keeper, whose word holds although the link may have been turned again since.
    static func current(isStarted: Bool) -> StartedProgram {
        let path = getenv("PATH").map { String(cString: $0) }
        let given = StartedProgram(CommandLine.arguments.first ?? "baton", in: StartDirectory.path, path: path)
        if isStarted || given.find().map(BinaryPath.isRunning) == true { return given }
        return StartedProgram(BinaryPath.atStart, in: StartDirectory.path, path: path)
    }

    /// The file that an upgrade starts now.
    ///
    /// - Throws: `processFailed` if nothing there can be executed.
    func resolved() throws(RuntimeError) -> String {
        if let file = find() { return file }
        let reason =
            name.utf8.contains(UInt8(ascii: "/"))
            ? Self.obstacle(name) ?? "it cannot be started" : "it is in no directory of PATH"
        throw RuntimeError(
            .processFailed, "cannot start \(name): \(reason); put the new program there, or name one with --binary")
    }

    private func find() -> String? {
        let candidates =
            name.utf8.contains(UInt8(ascii: "/")) ? [name] : searchPath.map { $0 == "/" ? "/\(name)" : "\($0)/\(name)" }
        return candidates.first { Self.obstacle($0) == nil }
    }

    /// Why the file cannot be executed; `nil` if it can, as far as can be seen from outside.
    static func obstacle(_ path: String) -> String? {
        var status = baton_file_status()
        guard baton_file_at(path, 1, &status) == 0 else {
            return errno == ENOENT ? "there is no such file" : String(cString: strerror(errno))
        }
        guard status.kind == S_IFREG else { return "it is no file" }
        return access(path, X_OK) == 0 ? nil : "this user may not execute it"
    }

    /// `path` seen from `directory`, without following a link: `..` behind a link leads where the link does.
    static func absolute(_ path: String, in directory: String) -> String {
        var rest = path[...]
        while rest.hasPrefix("./") { rest = rest.dropFirst(2).drop { $0 == "/" } }
        if rest.hasPrefix("/") { return String(rest) }
        if rest.isEmpty || rest == "." { return directory }
        return directory == "/" ? "/\(rest)" : "\(directory)/\(rest)"
    }
}

/// The directory that this process was started in.
enum StartDirectory {
    /// As the shell names it (PWD), which keeps links that were followed on the way there, if that is the directory; else as
    /// the kernel does. `/` if it is gone.
    static let path: String = {
        var here = baton_file_status()
        var named = baton_file_status()
        if let name = getenv("PWD").map({ String(cString: $0) }), name.hasPrefix("/"),
            baton_file_at(name, 1, &named) == 0,
            baton_file_at(".", 1, &here) == 0, named.device == here.device, named.file == here.file
        {
            return name
        }
        guard let buffer = getcwd(nil, 0) else { return "/" }
        defer { free(buffer) }
        return String(cString: buffer)
    }()
}
