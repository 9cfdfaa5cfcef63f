import Foundation

/// A stock TLS program on the other side.
final class PeerProcess {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private(set) var text = ""

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
        // Not SIGTERM: a child inherits the signal mask of the thread it was started from.
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }

    func send(_ text: String) throws { try input.fileHandleForWriting.write(contentsOf: Data(text.utf8)) }

    func endInput() throws { try input.fileHandleForWriting.close() }

    /// Reads what the program prints until it contains `wanted`; `nil` waits for its end.
    func expect(_ wanted: String?) throws {
        let descriptor = output.fileHandleForReading.fileDescriptor
        while wanted.map({ !text.contains($0) }) ?? true {
            var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard Glibc.poll(&poll, 1, Wire.patience) == 1 else {
                throw WireError(description: "'\(wanted ?? "the end")' did not come; the peer said: \(text)")
            }
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else {
                if wanted == nil { return }
                throw WireError(description: "'\(wanted ?? "")' did not come; the peer said: \(text)")
            }
            text += String(decoding: buffer[..<count], as: UTF8.self)
        }
    }
}

/// Files for programs that want them.
final class TemporaryFiles {
    private let folder = NSTemporaryDirectory() + "baton-" + UUID().uuidString

    init() throws { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func path(_ name: String) -> String { folder + "/" + name }

    func write(_ text: String, _ name: String) throws -> String {
        try text.write(toFile: path(name), atomically: true, encoding: .utf8)
        return path(name)
    }
}
