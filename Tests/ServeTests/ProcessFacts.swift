import BatonConfiguration
import BatonServer
import Foundation
import StockPeers

/// What the kernel tells of processes.
enum ProcessFacts {
    /// At most a minute.
    ///
    /// - Parameter state: tells what is there instead.
    static func wait(until isTrue: () throws -> Bool, else state: () -> String = { "" }) throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while try !isTrue() {
            guard ContinuousClock.now < deadline else { throw WireError("it does not come; \(state())") }
            sched_yield()
        }
    }

    static func program(of process: Int32) throws -> String {
        try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/exe")
    }

    /// What its descriptors lead to.
    static func descriptors(of process: Int32) throws -> [String] {
        let folder = "/proc/\(process)/fd"
        return try FileManager.default.contentsOfDirectory(atPath: folder).map { number in
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\(number)")) ?? ""
        }
    }

    /// Cheaper than `descriptors(of:)`.
    static func descriptorCount(of process: Int32) throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd").count
    }

    static func children(of process: Int32) throws -> [Int32] {
        let text = try String(contentsOfFile: "/proc/\(process)/task/\(process)/children", encoding: .utf8)
        return text.split(separator: " ").compactMap { Int32($0) }
    }

    static func hasZombie(below process: Int32) throws -> Bool {
        try children(of: process).contains { child in
            (try? String(contentsOfFile: "/proc/\(child)/stat", encoding: .utf8))?.contains(") Z") == true
        }
    }

    /// Whether there is such a process, and it has not ended.
    static func lives(_ process: Int32) -> Bool {
        guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8) else { return false }
        return !text.contains(") Z") && !text.contains(") X")
    }
}

extension Server {
    /// As `waitUntil`, of a server that may not answer for a moment.
    func await(_ isRight: (StatusReport) -> Bool) throws -> StatusReport {
        var report: StatusReport?
        try ProcessFacts.wait {
            report = try? status()
            return report.map(isRight) == true
        }
        guard let report else { throw WireError("the server does not answer") }
        return report
    }
}
