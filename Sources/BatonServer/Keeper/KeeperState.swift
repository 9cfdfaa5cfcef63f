internal import CLinuxSockets
internal import Foundation
internal import Libc

/// What a keeper leaves to the program that it executes in its place: what it knows, with the numbers of descriptors that stay
/// open. It is written to a file in memory.
struct KeeperState: Codable {
    /// Changed when a program could not make sense of what another leaves.
    static let version = 1

    struct Line: Codable {
        var number: Int
        var file: CInt
        var name: String
        var arguments: [String]
        var readsStates: [Int]
        var kept: [CInt]
        var gathered: [CInt]
        var state: CInt?

        init(_ line: ServerLine) {
            number = line.number
            file = line.program.file
            name = line.program.name
            arguments = line.program.arguments
            readsStates = line.readsStates
            kept = line.kept
            gathered = line.gathered
            state = line.state
        }

        func restored() -> ServerLine {
            ServerLine(
                number, Program(file: file, name: name, arguments: arguments), readsStates: readsStates, kept: kept,
                gathered: gathered, state: state)
        }

        var descriptors: [CInt] { kept + gathered + [state, file >= 0 ? file : nil].compactMap { $0 } }
    }

    struct Front: Codable {
        var process: UInt32
        var pid: Int32
        var link: CInt
        /// Of `KeptFront`; absent from an older version.
        var answers: Bool?
    }

    struct Child: Codable {
        var process: UInt32
        var pid: Int32
        var role: StartOrder.Role
        var line: Int
        /// Whether the front hears of it.
        var isOwned: Bool
        var link: CInt?
        var estates: [Estate.State]
        var isCondemned: Bool
    }

    var lines: [Line]
    /// The number of the line that serves.
    var service: Int
    var lastLine: Int
    var lastProcess: UInt32
    var front: Front
    var children: [Child]
    var deaths: ProcessDeaths
    var stops: [CInt]

    var descriptors: [CInt] {
        lines.flatMap(\.descriptors) + [front.link] + children.compactMap(\.link)
            + children.flatMap(\.estates).flatMap(\.descriptors)
    }

    // MARK: From program to program

    /// Where the program finds the descriptor of the file.
    private static let variable = "BATON_KEEPER_STATE"

    /// What the program before this one has left in this process; `nil`: there was none.
    static func takeLeft() throws(RuntimeError) -> KeeperState? {
        guard let text = getenv(variable).map({ String(cString: $0) }) else { return nil }
        unsetenv(variable)
        guard let descriptor = CInt(text), descriptor > 2, let bytes = MemoryFile.read(descriptor),
            let state = try? JSONDecoder().decode(KeeperState.self, from: Data(bytes))
        else {
            throw RuntimeError(.processFailed, "what the program before left cannot be read; restart the server")
        }
        close(descriptor)
        for descriptor in state.descriptors { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        return state
    }

    /// Executes the program of a line in this process, with all this.
    ///
    /// - Returns: only if that fails, an errno value; nothing has changed then.
    func execute(_ program: Program) -> CInt {
        guard let bytes = try? JSONEncoder().encode(self),
            let file = bytes.withUnsafeBytes({ MemoryFile.make("baton-keeper", $0) })
        else { return ENOMEM }
        defer { close(file) }
        setenv(Self.variable, "\(file)", 1)
        defer { unsetenv(Self.variable) }
        var words = ([program.name, "serve"] + program.arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        for descriptor in descriptors + [file] { _ = fcntl(descriptor, F_SETFD, 0) }
        let result = baton_replace(program.file, &words)
        for descriptor in descriptors + [file] { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        return -result
    }
}

/// An anonymous file (memfd_create(2)).
enum MemoryFile {
    static func make(_ name: String, _ bytes: UnsafeRawBufferPointer) -> CInt? {
        let descriptor = baton_memory_file(name, bytes.baseAddress, bytes.count)
        return descriptor >= 0 ? descriptor : nil
    }

    /// The whole content; at most 256 MiB.
    static func read(_ descriptor: CInt) -> [UInt8]? {
        let size = lseek(descriptor, 0, SEEK_END)
        guard (0...256 << 20).contains(size) else { return nil }
        var bytes = [UInt8](repeating: 0, count: size)
        var count = 0
        while count < size {
            let result = bytes.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress.map { $0 + count }, size - count, off_t(count))
            }
            if result < 0, errno == EINTR { continue }
            guard result > 0 else { return nil }
            count += result
        }
        return bytes
    }
}

extension Keeper {
    /// Once an upgrade is complete, executes its program in this process: after a trial, which shows that it starts here.
    func upgradeItself() {
        guard exitStatus == nil, trial == nil, canLeave, refusedLine != service.number else { return }
        guard service.readsStates.contains(KeeperState.version) else {
            return refuse("the new program does not read what this one would leave")
        }
        let nothing = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer { if nothing >= 0 { close(nothing) } }
        let words = ["serve-trial", "\(KeeperState.version)"]
        switch service.program.start(words, standardInput: nothing, extra: -1, diesWithParent: true) {
        case .success(let pid): trial = pid
        case .failure(let code): refuse("the new program cannot be started: \(code.text)")
        }
    }

    /// Whether there is one front, of another program than this, and all that was to be sent has been.
    private var canLeave: Bool {
        guard let serving, fronts.count == 1, estates.isEmpty, guest == nil, heritage == nil, service.number != ownLine,
            service.program.file >= 0
        else { return false }
        return !serving.channel.hasOutgoing
            && children.values.allSatisfy { child in
                child.channel?.hasOutgoing != true && child.estates.values.allSatisfy { $0.bequest == nil }
            }
    }

    /// The program has shown that it starts in this process's surroundings, or not.
    func trialEnded(_ ending: ProcessEnding) {
        trial = nil
        guard ending == .exited(0) else { return refuse("the new program does not start (\(ending))") }
        guard exitStatus == nil, canLeave, let serving else { return }
        var lines: [Int: ServerLine] = [service.number: service]
        for child in children.values { lines[child.line.number] = child.line }
        let state = KeeperState(
            lines: lines.values.map { KeeperState.Line($0) }, service: service.number, lastLine: lastLine,
            lastProcess: lastProcess,
            front: .init(
                process: serving.process, pid: serving.pid, link: serving.channel.descriptor,
                answers: serving.answers),
            children: children.values.map {
                .init(
                    process: $0.process, pid: $0.pid, role: $0.role, line: $0.line.number, isOwned: $0.owner != nil,
                    link: $0.channel?.descriptor, estates: $0.estates.values.map(\.state),
                    isCondemned: $0.isCondemned)
            }, deaths: deaths, stops: stops)
        try? FaultPoint.reach("execute")
        refuse(String(cString: strerror(state.execute(service.program))))
    }

    private func refuse(_ why: String) {
        refusedLine = service.number
        log.error("the main process goes on with the program it has", ["reason": why])
    }
}
