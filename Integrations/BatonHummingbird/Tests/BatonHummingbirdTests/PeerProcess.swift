import Foundation

struct TestFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A stock program, or one of this package's. It is killed when this goes.
final class PeerProcess {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var text = ""

    init(_ arguments: [String]) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.standardInput = input
        process.standardOutput = output
        process.standardError = output
        try process.run()
    }

    deinit {
        try? input.fileHandleForWriting.close()
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }

    var processID: Int32 { process.processIdentifier }

    /// Its exit status, once it has ended; a signal's number is negative.
    var status: Int32 {
        process.waitUntilExit()
        return process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
    }

    func send(_ line: String) throws { try input.fileHandleForWriting.write(contentsOf: Data((line + "\n").utf8)) }

    func terminate() { kill(process.processIdentifier, SIGTERM) }

    /// Reads what it prints until that contains `wanted`, takes it out, and returns the rest of the line.
    @discardableResult
    func expect(_ wanted: String) throws -> String {
        let descriptor = output.fileHandleForReading.fileDescriptor
        while true {
            if let found = text.range(of: wanted), let end = text[found.upperBound...].firstIndex(of: "\n") {
                defer { text = String(text[end...]) }
                return String(text[found.upperBound..<end])
            }
            // Far beyond what a loaded machine needs.
            var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&polled, 1, 60_000) == 1 else { throw missing(wanted) }
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { throw missing(wanted) }
            text += String(decoding: buffer[..<count], as: UTF8.self)
        }
    }

    private func missing(_ wanted: String) -> TestFailure {
        TestFailure("'\(wanted)' did not come; the program said: \(text)")
    }
}
