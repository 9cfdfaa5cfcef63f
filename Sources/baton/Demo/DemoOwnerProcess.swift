import Foundation

/// An owner process as the demo sees it: a child that prints `DemoLine`s and ends when its standard input does.
final class DemoOwnerProcess {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var pending: [UInt8] = []

    init(listen: String, next: String) throws {
        guard let program = Bundle.main.executableURL else { throw Failure("cannot find this program's own file") }
        process.executableURL = program
        process.arguments = ["demo-owner", "--listen", listen, "--next", next]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
    }

    var pid: Int32 { process.processIdentifier }

    /// Readable when there may be lines.
    var descriptor: Int32 { output.fileHandleForReading.fileDescriptor }

    func go() { try? input.fileHandleForWriting.write(contentsOf: Data("go\n".utf8)) }

    /// Reads what has been printed; `nil` when the process has closed its output.
    func readLines() -> [DemoLine]? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = read(descriptor, &buffer, buffer.count)
        guard count > 0 else { return nil }
        pending += buffer[..<count]
        var lines: [DemoLine] = []
        while let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
            let line = String(decoding: pending[..<end], as: UTF8.self)
            pending.removeSubrange(...end)
            lines.append(DemoLine(line[...]) ?? .failed("an owner printed '\(line)'"))
        }
        return lines
    }

    /// Lets it end, and waits for that.
    func stop() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}
