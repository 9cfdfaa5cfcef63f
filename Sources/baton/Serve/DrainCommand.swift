import ArgumentParser
import BatonConfiguration
import BatonServer
import Foundation

/// `baton drain`: empties a machine while everyone stays connected.
struct DrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Move every connection of a running server, and its addresses, to another host.",
        discussion: """
            Connections move some at a time, first those that are there, then those that have come meanwhile; new ones go to \
            the other host from then on, and last the service addresses. Ctrl-C stops after what is under way: every \
            connection is on exactly one host then. Exit status 0 if everything has moved (in a dry run: could be looked \
            at), else 1.
            """)

    @OptionGroup var server: ControlOption

    @Option(help: "The other host: a name of peers in the server's configuration.")
    var to: String

    @Flag(help: "Say what would move and what could not, and move nothing.")
    var dryRun = false

    @Flag(help: "Print one JSON document.")
    var json = false

    func run() async throws {
        let report = try await OneLine.errors {
            Interruption.install()
            var line = DrainProgressLine(isShown: !json)
            defer { line.clear() }
            return try server.client.drain(to: to, isDryRun: dryRun) {
                line.show($0)
            } mustStop: {
                Interruption.signal != nil
            }
        }
        print(json ? try JSONDocument.text(report) : report.summary)
        guard report.isComplete || report.isDryRun else { throw ExitCode(1) }
    }
}

extension DrainReport {
    /// What to tell of it, a line for each thing.
    fileprivate var summary: String {
        var lines = [
            isDryRun
                ? "\(moved) connections could move to \(peer)"
                : "\(moved) connections have moved to \(peer) in \(durationMilliseconds) ms"
        ]
        if !isDryRun, moved > 0 {
            lines.append("pause: \(pause.p50) µs median, \(pause.p99) µs p99, \(pause.max) µs max")
        }
        for (reason, count) in stayed.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
            lines.append("\(count) \(isDryRun ? "could not" : "stayed"): \(reason)")
        }
        if inDoubt > 0 { lines.append("\(inDoubt) in doubt: closed here; \(peer) has them, or has reset them") }
        if lost > 0 { lines.append("\(lost) closed: no process of \(peer) took them") }
        if let failure { lines.append("it ended early: \(failure)") }
        if isInterrupted { lines.append("it was interrupted: \(remaining) connections are still here") }
        if !addresses.isEmpty { lines.append("\(peer) answers for \(addresses.joined(separator: ", "))") }
        if isComplete {
            lines.append(
                addresses.isEmpty
                    ? "no service address was here to move: this machine forwards what it must until it is switched off"
                    : "this machine may be switched off")
        }
        return lines.joined(separator: "\n")
    }
}
