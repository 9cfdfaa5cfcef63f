internal import Foundation
internal import Libc

/// Sockets at which processes of the server met that are gone.
enum LeftSockets {
    /// Removes what a dead front, and processes that have died since, have left.
    ///
    /// - Parameter workers: the processes of those that live.
    static func remove(from directory: String, butOf workers: [Int32]) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        for name in names {
            // NUMBER.PID, migration.PID or upgrade.PID.NUMBER, and a lock beside each.
            let parts = name.split(separator: ".")
            guard parts.count >= 2, let pid = Int32(parts[1]), pid != getpid(), !workers.contains(pid),
                kill(pid, 0) != 0, errno == ESRCH
            else { continue }
            unlink("\(directory)/\(name)")
        }
    }
}
