internal import Foundation
internal import Glibc
internal import Logging
internal import NIOCore

/// What outlives this front: with the keeper, and in workers that have lost another front.
extension Front {
    // MARK: What is left to a front that takes the place of this one

    /// Leaves the sockets with the keeper, and what they are.
    func deposit() {
        let privileges = [migration.privilegeDescriptor].compactMap { $0 }
        leave([control.descriptor, control.lock] + sockets.map(\.descriptor) + privileges)
    }

    /// As `deposit`, before sockets are closed that are not among the server's any more: the keeper has none of them then.
    func depositAndSettle() {
        deposit()
        keeper.settle()
    }

    /// As `deposit`, when the sockets are those that the keeper has.
    func depositState() { leave(nil) }

    /// What has been counted since is lost with this front.
    func depositCounts() {
        switch phase {
        case .serving, .replacing: break
        case .starting, .retiring, .finishing: return
        }
        let counts = DepositedCounts(
            front: countsInAll, gone: gone, lastWorkerNumber: lastWorkerNumber, asked: workersAsked)
        guard counts != deposited else { return }
        deposited = counts
        depositState()
    }

    private var isFinishing: Bool { if case .finishing = phase { true } else { false } }

    private func leave(_ descriptors: [CInt]?) {
        let state = FrontState(
            inheritance: description(past: gone, hasPrivileges: migration.privilegeDescriptor != nil), file: file,
            acceptsNoMore: isFinishing)
        guard var bytes = try? JSONEncoder().encode(state) else { return }
        defer { bytes.resetBytes(in: 0..<bytes.count) }
        bytes.withUnsafeBytes { keeper.deposit(descriptors, $0) }
    }

    // MARK: Workers that have lost their front

    /// A worker has no other front: it goes on here if it is of this program, else its connections go to others.
    func adopt(_ kept: KeptWorker, _ link: CInt) {
        let worker = WorkerHandle(number: kept.number, process: kept.process, pid: kept.pid, socket: kept.socket)
        worker.isAdopted = true
        worker.state = kept.isOwn ? .ready : .draining
        lastWorkerNumber = max(lastWorkerNumber, kept.number)
        log.notice(
            "a worker goes on without the front that it had",
            metadata: ["worker": "\(kept.number)", "pid": "\(kept.pid)", "leaves": "\(!kept.isOwn)"])
        let turn = reloads.nextTurn()
        follow(worker, link) { [self] link in
            switch phase {
            case .finishing: link.send(.finish)
            case .retiring(let successor):
                worker.state = .draining
                link.send(.drain(to: successor.workers))
            case .starting, .serving, .replacing:
                if kept.isOwn {
                    link.send(.reconfigure(file: file, flags: options.flags, turn: turn))
                    link.send(.resume)
                }
                tellSiblings()
            }
        }
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

/// Of what a front has counted, what the keeper has been told.
struct DepositedCounts: Equatable {
    var front: FrontCounts
    var gone: WorkerReport
    var lastWorkerNumber: Int
    var asked: Int?
}
