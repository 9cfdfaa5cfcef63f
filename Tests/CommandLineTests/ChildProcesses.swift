import Foundation
import StockPeers

/// The processes of the machine, as /proc shows them.
enum ChildProcesses {
    /// Those whose temporary files are in `folder`, by the environment they were started with. A run hands its
    /// environment to everything it starts, so this finds owners whose parent has gone, and the stock client.
    static func using(_ folder: String) throws -> [Int32] {
        let entry = Array("TMPDIR=\(folder)".utf8)
        return try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { Int32($0) }.filter { pid in
            guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/environ") else { return false }
            return data.split(separator: 0).contains { Array($0) == entry }
        }
    }

    /// How a process was called; nothing if it has gone.
    static func arguments(_ pid: Int32) -> [String] {
        let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") ?? Data()
        return line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }
}
