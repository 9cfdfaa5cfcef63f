import Foundation
import StockPeers
import Testing

/// What `docs/liveness.md` says of the settings, by the script that has measured it. Times are not looked at.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct LivenessTests {
    @Test(
        "each setting notices the failures that the documentation says, on idle connections and on those that send",
        .enabled(if: geteuid() == 0, "network namespaces need root"),
        arguments: [
            ("the process is killed", "+ / + | + / + | + / + | + / + | + / + | +"),
            ("a firewall drops silently", "– / – | + / – | – / + | + / + | + / + | +"),
            ("the peer hangs, its kernel lives", "– / – | – / – | – / + | – / + | + / + | +"),
            ("the router has forgotten its NAT table", "– / + | + / + | – / + | + / + | + / + | +"),
        ])
    func notices(failure: String, noticed: String) throws {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("scripts/liveness.py").path
        let count = noticed.count { $0 == "+" }
        // What is not noticed would not be for far longer.
        let run = try PeerProcess(
            ["python3", script, try BuiltProgram.path("baton"), "120", failure, "\(count)"])
        try run.expect("| \(failure) | ")
        try run.expect(nil)
        let row = run.text.split(separator: "\n").last.map(String.init) ?? ""
        #expect(row.replacing(/[0-9]+\.[0-9]/, with: "+") == "| \(failure) | \(noticed) |", "\(run.text)")
    }
}
