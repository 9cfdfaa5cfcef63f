import Foundation
import StockPeers

/// A run of the built `baton`, with a folder of its own for temporary files.
final class Command {
    let folder: String
    let process = Process()
    private let output = Pipe()
    private let errors = Pipe()
    private let files: TemporaryFiles

    /// - Parameters:
    ///   - path: PATH for the command; `nil` for that of the tests.
    ///   - variables: more of the environment.
    ///   - directory: where it is started; `nil`: where the tests are.
    init(
        _ arguments: [String], path: String? = nil, variables: [String: String] = [:], directory: String? = nil
    ) throws {
        files = try TemporaryFiles()
        folder = files.path("")
        process.executableURL = URL(fileURLWithPath: try BuiltProgram.path("baton"))
        process.arguments = arguments
        var environment = ProcessInfo.processInfo.environment
        environment["TMPDIR"] = folder
        if let path { environment["PATH"] = path }
        process.environment = environment.merging(variables) { $1 }
        if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = errors
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    }

    struct Result {
        var status: Int32
        var output: String
        var errors: String

        /// What was said on standard error, a line each.
        var complaints: [Substring] { errors.split(separator: "\n") }
    }

    /// Runs it to its end.
    func run() throws -> Result {
        try start()
        let outputBytes = try readAll(output)
        let errorBytes = try readAll(errors)
        process.waitUntilExit()
        return Result(
            status: process.terminationStatus, output: String(decoding: outputBytes, as: UTF8.self),
            errors: String(decoding: errorBytes, as: UTF8.self))
    }

    func start() throws { try process.run() }

    /// Closes this side of its standard output.
    func stopReading() throws { try output.fileHandleForReading.close() }

    /// Waits for the end.
    func end() throws -> Int32 {
        _ = try readAll(errors)
        process.waitUntilExit()
        return process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
    }

    /// What is left of its temporary files.
    func leftovers() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder) }

    private func readAll(_ pipe: Pipe) throws -> [UInt8] {
        let descriptor = pipe.fileHandleForReading.fileDescriptor
        var bytes: [UInt8] = []
        while true {
            var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&polled, 1, 120_000) == 1 else { throw WireError("the command neither speaks nor ends") }
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return bytes }
            bytes += buffer[..<count]
        }
    }
}
