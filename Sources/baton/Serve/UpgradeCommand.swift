import ArgumentParser
import BatonServer
import Foundation

/// `baton upgrade`: a new process takes the place of a running server, with all its connections.
struct UpgradeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgrade",
        abstract: "Replace a running server by a new process, with every connection.",
        discussion: """
            The new process starts with the same arguments, reads its configuration and takes the listening sockets. Only \
            when it is ready do the connections move. If it fails before, the old server goes on as if nothing had \
            happened, and the reason is printed.
            """)

    @OptionGroup var server: ControlOption

    @Option(help: "The program to start. Default: what the server was started as, as it is now.", completion: .file())
    var binary: String?

    @Flag(help: "Print one JSON document.")
    var json = false

    func run() async throws {
        try await OneLine.errors {
            let showsProgress = !json && isatty(1) == 1
            let report = try server.client.upgrade(binary: binary) { progress in
                if showsProgress { Self.show(progress) }
            }
            if showsProgress { Self.write("\r\u{1B}[K") }
            print(
                json
                    ? try JSONDocument.text(report)
                    : report.summary)
        }
    }

    private static func show(_ progress: UpgradeProgress) {
        let width = 30
        let moved = max(0, progress.total - progress.remaining)
        let filled = progress.total > 0 ? moved * width / progress.total : width
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
        write("\r\u{1B}[K\(bar) \(moved)/\(progress.total) connections")
    }

    private static func write(_ text: String) { try? FileHandle.standardOutput.write(contentsOf: Data(text.utf8)) }
}

extension UpgradeReport {
    /// What has happened, for people.
    fileprivate var summary: String {
        let program = [version.map { "baton \($0)" }, program].compactMap { $0 }.joined(separator: ", ")
        let line =
            "pid \(from) has handed \(connections) connections to pid \(to)\(program.isEmpty ? "" : " (\(program))") "
            + "in \(durationMilliseconds) ms"
        guard let left, let silentWorkers else { return line }
        let workers = silentWorkers.map { "\($0)" }.joined(separator: ", ")
        return line
            + "\n\(left) connections stay with the old workers \(workers), which do not answer: end these (SIGKILL), or let "
            + "them go on (SIGCONT) and they hand their connections over"
    }
}
