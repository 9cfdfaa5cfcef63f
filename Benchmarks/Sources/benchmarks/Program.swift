import Foundation
import Glibc

/// A program that is measured, or puts load on one, with all its child processes. It ends when this does.
final class Program {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var printed: [UInt8] = []

    /// - Parameters:
    ///   - core: the processor to which it and its children are bound; nil: any.
    ///   - isHeard: whether its standard output can be read here.
    init(_ arguments: [String], core: Int? = nil, isHeard: Bool = false) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = (core.map { ["taskset", "-c", "\($0)"] } ?? []) + arguments
        process.standardInput = input
        process.standardOutput = isHeard ? output : FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
    }

    deinit {
        for id in Program.family(of: process.processIdentifier) { kill(id, SIGKILL) }
        process.waitUntilExit()
    }

    /// What it prints until it ends.
    func text() throws -> String {
        let bytes = try output.fileHandleForReading.readToEnd() ?? Data()
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Waits until it ends; whether its exit status was 0.
    func succeeded() throws -> Bool {
        _ = try text()
        process.waitUntilExit()
        return process.terminationStatus == 0
    }

    /// Runs a program before everything else whenever it has something to do, where that is allowed (CAP_SYS_NICE): it is not
    /// what is measured.
    static let prompt: [String] = {
        let words = ["chrt", "-r", "\(promptPriority)"]
        let isAllowed = (try? Program(words + ["true"], isHeard: true).succeeded()) ?? false
        return isAllowed ? words : []
    }()

    /// Likewise for the calling thread.
    static func makePrompt() {
        var parameters = sched_param(sched_priority: promptPriority)
        pthread_setschedparam(pthread_self(), SCHED_RR, &parameters)
    }

    private static let promptPriority: CInt = 10

    /// Binds all its threads, and those of its children, to a processor.
    func bind(to core: Int) throws {
        for id in family {
            let isBound = try Program(["taskset", "-a", "-c", "-p", "\(core)", "\(id)"], isHeard: true).succeeded()
            guard isBound else { throw BenchmarkError("process \(id) cannot be bound to processor \(core)") }
        }
    }

    func say(_ line: String) throws { try input.fileHandleForWriting.write(contentsOf: Data("\(line)\n".utf8)) }

    /// Reads what it prints until it has printed `words`.
    func expect(_ words: String) throws {
        while String(decoding: printed, as: UTF8.self).range(of: words) == nil {
            let more = output.fileHandleForReading.availableData
            guard !more.isEmpty else { throw BenchmarkError("a program ended before it had said '\(words)'") }
            printed += more
        }
        printed = []
    }

    /// The next line that it prints.
    func line() throws -> String {
        while true {
            if let end = printed.firstIndex(of: UInt8(ascii: "\n")) {
                defer { printed.removeFirst(end + 1) }
                return String(decoding: printed[..<end], as: UTF8.self)
            }
            let more = output.fileHandleForReading.availableData
            guard !more.isEmpty else { throw BenchmarkError("a program ended before it had said a line") }
            printed += more
        }
    }

    var family: [pid_t] { Program.family(of: process.processIdentifier) }

    /// A process and those it has started, and so on.
    static func family(of parent: pid_t) -> [pid_t] {
        var children: [pid_t: [pid_t]] = [:]
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let id = pid_t(name), let fields = statistics(of: id), let from = pid_t(fields[1]) else { continue }
            children[from, default: []].append(id)
        }
        var found = [parent]
        var index = 0
        while index < found.count {
            found += children[found[index]] ?? []
            index += 1
        }
        return found
    }

    /// Processor time of all its processes so far, in seconds.
    var processorTime: Double {
        let ticks = family.reduce(0.0) { sum, id in
            guard let fields = Program.statistics(of: id), fields.count > 12 else { return sum }
            return sum + (Double(fields[11]) ?? 0) + (Double(fields[12]) ?? 0)
        }
        return ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// Resident memory of all its processes in bytes, shared pages shared out.
    var memory: Double { Program.memory(of: family) }

    static func memory(of processes: [pid_t]) -> Double {
        processes.reduce(0) { sum, id in
            let rollup = (try? String(contentsOfFile: "/proc/\(id)/smaps_rollup", encoding: .utf8)) ?? ""
            let line = rollup.split(separator: "\n").first { $0.hasPrefix("Pss:") }
            return sum + (line?.split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? 0) * 1_024
        }
    }

    /// The fields of /proc/ID/stat behind the name; the first is the state, the second the parent.
    private static func statistics(of id: pid_t) -> [Substring]? {
        guard let text = try? String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8),
            let end = text.lastIndex(of: ")")
        else { return nil }
        return text[text.index(after: end)...].split(separator: " ")
    }
}
