import Foundation
import Glibc

/// `benchmarks [--json FILE] [WORD…]`: measures the rows whose name contains a word, or all, and prints a table.
@main
struct Benchmarks {
    static func main() {
        var words = Array(CommandLine.arguments.dropFirst())
        if words.first == HandoffReceiver.argument { exit(HandoffReceiver.run()) }
        if words.first == LabClientProcess.argument { exit(LabClientProcess.run(words.dropFirst())) }
        var json: String?
        if let index = words.firstIndex(of: "--json") {
            guard index + 1 < words.count else { fail("--json needs the name of a file", status: 2) }
            json = words[index + 1]
            words.removeSubrange(index...index + 1)
        }
        if let unknown = words.first(where: { $0.hasPrefix("-") }) {
            fail("unknown option \(unknown); usage: benchmarks [--json FILE] [WORD…]", status: 2)
        }
        do {
            let rows = try measure(words)
            if let json { try write(rows, to: json) }
        } catch {
            fail("\(error)", status: 1)
        }
    }

    private static func measure(_ words: [String]) throws -> [Row] {
        let credentials = try Credentials()
        let all =
            RecordBenchmarks.all(credentials) + MoveBenchmarks.all(credentials) + HandoffBenchmarks.all(credentials)
            + MemoryBenchmarks.all(credentials) + ProxyBenchmarks.all() + UpgradeBenchmarks.all()
            + DrainBenchmarks.all()
        let chosen = all.filter { benchmark in
            words.isEmpty || words.contains { benchmark.name.localizedCaseInsensitiveContains($0) }
        }
        guard !chosen.isEmpty else {
            throw BenchmarkError("no such row; there are: \(all.map(\.name).joined(separator: ", "))")
        }
        let table = Table()
        table.printHead()
        var rows: [Row] = []
        for benchmark in chosen {
            if let obstacle = benchmark.obstacle {
                table.print("\(benchmark.name): skipped, \(obstacle)")
                continue
            }
            for row in try benchmark.run() {
                table.print(row)
                rows.append(row)
            }
        }
        return rows
    }

    private static func write(_ rows: [Row], to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try encoder.encode(["rows": rows]).write(to: URL(fileURLWithPath: path))
    }

    private static func fail(_ message: String, status: Int32) -> Never {
        FileHandle.standardError.write(Data("benchmarks: \(message)\n".utf8))
        exit(status)
    }
}
