internal import BatonConfiguration
internal import CLinuxSockets
internal import Libc
internal import Logging
internal import Synchronization

/// What a process gives up before it hears a peer. It has to be its only thread: capabilities and Landlock belong to threads.
///
/// - Privileges: nothing that it executes gets one, and it keeps no capability but those named.
/// - Files (Landlock): it executes none, and makes, changes and removes them only in the directories of its own sockets. It reads
///   whatever its user may, because a reload may name other certificates.
/// - System calls (seccomp): those fail that it has no use for, and that whoever has taken it over would want next. It is a list
///   of what is forbidden: what the Swift runtime, the C library and OpenSSL need changes with their versions, and a call that
///   such a list lacks would be found out in somebody's night. EPERM and no signal, since libraries try things out.
package struct ConfinedProcess: Sendable {
    /// What this kernel or this process cannot, with the reason.
    private(set) var lacking: [String] = []
    private let mode: Confinement

    /// Confines this process.
    ///
    /// - Parameters:
    ///   - capabilities: are kept, of those that it has.
    ///   - directories: in which it may make, change and remove files; `nil`: everywhere.
    /// - Throws: `system` if it cannot be confined and must be.
    init(_ mode: Confinement, keeping capabilities: [CInt], writingIn directories: [String]?) throws(RuntimeError) {
        self.mode = mode
        guard mode != .off else { return }
        let threads = baton_thread_count()
        if threads != 1 { lacking.append("one thread: there are \(threads)") }
        note("no_new_privs", baton_no_new_privileges())
        note("capabilities", baton_keep_capabilities(capabilities, CInt(capabilities.count)))
        if let directories {
            let paths = directories.map { UnsafePointer<CChar>(strdup($0)) }
            defer { for path in paths { free(UnsafeMutablePointer(mutating: path)) } }
            note("Landlock", baton_restrict_files(paths, CInt(paths.count)))
        } else {
            lacking.append("Landlock: the configuration cannot be read")
        }
        note("seccomp", baton_restrict_calls())
        guard mode != .require || lacking.isEmpty else {
            throw RuntimeError(
                .system,
                "confinement: require, and this process lacks \(lacking.joined(separator: "; ")); use auto, or a kernel "
                    + "that has it")
        }
    }

    private mutating func note(_ what: String, _ result: CInt) {
        if result != 0 { lacking.append("\(what): \(SystemCode(-result).text)") }
    }

    /// Says it once.
    func tell(_ log: Logger) {
        if mode == .off {
            log.info("this process is not confined, as the configuration says")
        } else if lacking.isEmpty {
            log.info("this process is confined")
        } else {
            log.warning("this process is confined in part", metadata: ["lacking": "\(lacking.joined(separator: "; "))"])
        }
    }

    // MARK: The processes of the server

    private static let current = Mutex<ConfinedProcess?>(nil)

    /// What has become of it in this process; `nil`: it is none that is confined.
    static var ofThisProcess: ConfinedProcess? { current.withLock { $0 } }

    /// Confines this process if it is one that speaks with peers: before it has another thread.
    ///
    /// - Parameter arguments: of the command line.
    /// - Throws: `RuntimeError` if it cannot be confined and must be.
    package static func begin(_ arguments: [String]) throws {
        let words = Array(arguments.dropFirst(2))
        let confined: ConfinedProcess
        switch arguments.dropFirst().first {
        case "serve-front":
            guard let options = try? ServeOptions(arguments: words, isFront: true),
                !FrontMain.startsPrivilegeKeeper(options)
            else { return }
            confined = try front(options)
        case "serve-worker":
            func values(_ name: String) -> [String] {
                words.indices.dropLast().filter { words[$0] == name }.map { words[$0 + 1] }
            }
            guard let mode = values("--confinement").last else { return }
            confined = try ConfinedProcess(
                Confinement(rawValue: mode) ?? .auto, keeping: [], writingIn: values("--directory"))
        default: return
        }
        current.withLock { $0 = confined }
    }

    /// The front: it may listen at ports below 1024 if it could before.
    private static func front(_ options: ServeOptions) throws(RuntimeError) -> ConfinedProcess {
        let portBinding: CInt = 10  // CAP_NET_BIND_SERVICE
        // What is wrong with it is told when it is read again.
        guard let configuration = try? options.read().configuration else {
            return try ConfinedProcess(.auto, keeping: [portBinding], writingIn: nil)
        }
        let control = directory(of: configuration.control)
        // They cannot be made any more then.
        if configuration.confinement != .off {
            mkdir(control, 0o700)
            mkdir(ControlSocket.runtimeDirectory(configuration.control), 0o700)
        }
        let addresses = configuration.listeners.values.map(\.address) + [configuration.admin].compactMap { $0 }
        let sockets = addresses.compactMap { address in
            if case .unix(let path) = address { directory(of: path) } else { nil }
        }
        return try ConfinedProcess(
            configuration.confinement, keeping: [portBinding],
            writingIn: [control] + sockets + [logDirectory(of: configuration)].compactMap { $0 })
    }

    /// What a worker is told on its command line.
    ///
    /// - Parameter directory: where it takes parcels.
    static func workerArguments(_ configuration: Configuration, in directory: String) -> [String] {
        ["--confinement", configuration.confinement.rawValue]
            + ([directory] + [logDirectory(of: configuration)].compactMap { $0 }).flatMap { ["--directory", $0] }
    }

    /// Where the access log is, which may be renamed and made anew.
    static func logDirectory(of configuration: Configuration) -> String? {
        if case .file(let path)? = configuration.accessLog { directory(of: path) } else { nil }
    }

    private static func directory(of path: String) -> String {
        path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    }
}

/// Whether the memory in which workers have connections may come to a disk.
enum MemoryLock {
    static func tell(_ log: Logger) {
        let limit = baton_memory_lock_limit()
        if limit < 0 {
            log.info("the memory in which connections are is locked")
        } else {
            log.info(
                "the memory in which connections are is locked as far as RLIMIT_MEMLOCK allows, and may be swapped else",
                metadata: ["bytes": "\(limit)"])
        }
    }
}

extension FaultPoint {
    /// A test may ask what a confined process is refused: one line each.
    static func tryForbidden(_ log: Logger) {
        #if DEBUG
            guard (try? reach("forbidden")) == nil else { return }
            var program: [UnsafeMutablePointer<CChar>?] = [strdup("/bin/true"), nil]
            let executed = execv("/bin/true", &program)
            log.notice("forbidden", metadata: ["execve": "\(executed == 0 ? 0 : errno)"])
            let file = open("/tmp/baton-forbidden.\(getpid())", O_CREAT | O_WRONLY, 0o600)
            log.notice("forbidden", metadata: ["create": "\(file >= 0 ? 0 : errno)"])
            let packets = socket(17, SocketKind.datagram, 0)  // AF_PACKET
            log.notice("forbidden", metadata: ["packets": "\(packets >= 0 ? 0 : errno)"])
            let traced = baton_try_trace()
            log.notice("forbidden", metadata: ["ptrace": "\(traced)"])
            let null = open("/dev/null", O_RDWR)
            let read = open("/etc/passwd", O_RDONLY)
            log.notice("forbidden", metadata: ["allowed": "\(null >= 0 && read >= 0)"])
        #endif
    }
}
