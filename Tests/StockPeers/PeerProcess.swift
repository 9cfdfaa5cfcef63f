import Foundation

/// A stock TLS program on the other side.
package final class PeerProcess {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    /// Everything it has printed that was read, on both of its outputs.
    package private(set) var bytes: [UInt8] = []
    private var expected: [String: Int] = [:]

    package init(_ arguments: [String]) throws {
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

    package var isRunning: Bool { process.isRunning }

    /// Its exit status, once it has ended.
    package var status: Int32 {
        process.waitUntilExit()
        return process.terminationStatus
    }

    package var processID: Int32 { process.processIdentifier }

    package var text: String { String(decoding: bytes, as: UTF8.self) }

    package func send(_ text: String) throws { try input.fileHandleForWriting.write(contentsOf: Data(text.utf8)) }

    package func endInput() throws { try input.fileHandleForWriting.close() }

    /// Reads what the program prints until it contains `wanted`; `nil` waits for its end.
    package func expect(_ wanted: String?) throws {
        let words = Array((wanted ?? "").utf8)
        var searched = 0
        while true {
            if wanted != nil {
                let start = max(0, searched - words.count)
                if bytes[start...].firstRange(of: words) != nil { return }
                searched = bytes.count
            }
            guard try read(lackOf: wanted ?? "the end") else {
                if wanted == nil { return }
                throw missing(wanted ?? "")
            }
        }
    }

    /// Reads what the program prints until it contains `wanted` once more than at the last call with it.
    package func expectNext(_ wanted: String) throws {
        let count = expected[wanted, default: 0] + 1
        expected[wanted] = count
        try expect(wanted, count: count)
    }

    /// Reads what the program prints until it contains `wanted` so often.
    package func expect(_ wanted: String, count: Int) throws {
        while text.components(separatedBy: wanted).count <= count {
            guard try read(lackOf: wanted) else { throw missing(wanted) }
        }
    }

    /// The `count` bytes that are printed behind the first occurrence of `marker`.
    package func output(behind marker: String, count: Int) throws -> ArraySlice<UInt8> {
        try expect(marker)
        let start = bytes.firstRange(of: Array(marker.utf8))?.upperBound ?? 0
        while bytes.count < start + count {
            guard try read(lackOf: "\(count) bytes behind '\(marker)'") else { throw missing("\(count) bytes") }
        }
        return bytes[start..<start + count]
    }

    /// The number that is printed behind `words`.
    package func number(behind words: String) throws -> Int {
        try expect(words)
        while true {
            let rest = bytes[(bytes.firstRange(of: Array(words.utf8))?.upperBound ?? 0)...]
            let digits = rest.prefix { (48...57).contains($0) }
            if !digits.isEmpty, digits.count < rest.count { return Int(String(decoding: digits, as: UTF8.self)) ?? 0 }
            guard try read(lackOf: "a number behind '\(words)'") else { throw missing("a number behind '\(words)'") }
        }
    }

    /// Waits until `wire` takes bytes, and reads what the program prints meanwhile: it may have to be rid of its output
    /// before it reads more.
    package func read(untilWritable wire: Wire) throws {
        while true {
            var polled = [
                pollfd(fd: output.fileHandleForReading.fileDescriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: wire.descriptor, events: Int16(POLLOUT), revents: 0),
            ]
            guard poll(&polled, 2, Wire.patience) > 0 else { throw missing("room for more") }
            if polled[1].revents != 0 { return }
            guard try read(lackOf: "output") else { throw missing("room for more") }
        }
    }

    /// Reads once; `false` at the end of the output.
    private func read(lackOf what: String) throws -> Bool {
        let descriptor = output.fileHandleForReading.fileDescriptor
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard Glibc.poll(&poll, 1, Wire.patience) == 1 else { throw missing(what) }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = Glibc.read(descriptor, &buffer, buffer.count)
        guard count > 0 else { return false }
        bytes += buffer[..<count]
        return true
    }

    private func missing(_ what: String) -> WireError {
        WireError("'\(what)' did not come; the peer said: \(text.suffix(2_000))")
    }
}
