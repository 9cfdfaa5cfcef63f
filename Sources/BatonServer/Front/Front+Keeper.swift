internal import Foundation
internal import Glibc

/// What outlives this front with the keeper.
extension Front {
    func makeDeposits() -> Deposits {
        Deposits(keeper) { [self] in
            [control.descriptor, control.lock] + sockets.map(\.descriptor)
                + [migration.privilegeDescriptor].compactMap { $0 }
        } state: { [self] in
            FrontState(
                inheritance: description(past: gone, hasPrivileges: migration.privilegeDescriptor != nil), file: file,
                acceptsNoMore: life.moment == .stopping)
        }
    }

    /// Leaves what has been counted, as long as this front is the one to be restored.
    func depositCounts() {
        switch life.moment {
        case .serving, .replacing: break
        case .starting, .replaced, .stopping: return
        }
        deposits.deposit(
            Deposits.Counts(
                front: countsInAll, gone: gone, lastWorkerNumber: workerPool.lastNumber, asked: workerPool.asked))
    }

    /// Removes what a dead front, and processes that have died since, have left where the server's processes meet.
    ///
    /// - Parameter workers: the processes of those that live.
    func removeLeftSockets(of workers: [Int32]) {
        let directory = ControlSocket.runtimeDirectory(control.path)
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
