internal import BatonConfiguration
internal import BatonCore
internal import Handoff
internal import NIOCore
internal import Synchronization

extension Front {
    var workers: [WorkerHandle] { workerPool.workers }

    /// What is done here for the workers.
    var workerActions: WorkerPool.Actions {
        WorkerPool.Actions(
            moment: { [self] in life.moment },
            isStopping: { [self] in life.isStopping },
            configured: { [self] in configuration.workers ?? max(1, System.coreCount) },
            silenceLimit: { [self] in configuration.limits.workerSilence },
            settings: { [self] in (file, options.flags) },
            nextTurn: { [self] in reloads.nextTurn() },
            successors: { [self] in successors },
            status: { [self] in status },
            received: { [self] in received($0, from: $1) },
            ended: { [self] in ended($0) },
            // What it has not been offered goes to others at once; what it has been offered comes back with the offer's end.
            isSilent: { [self] in placer.recall(from: $0.socket) },
            changed: { [self] sockets in
                if !sockets.isEmpty { tellPredecessor(.workers(sockets)) }
                migration.send(.workers(sockets))
            },
            areAcquainted: { [self] in becomeReady() },
            failed: { [self] in failStart($0) },
            hasBeaten: { [self] in
                depositCounts()
                // Time passes for an upgrade that waits for a silent worker.
                upgrade?.look()
            },
            hasLess: { [self] in look() })
    }

    private func received(_ message: WorkerMessage, from worker: WorkerHandle) {
        switch message {
        case .reconfigured(let turn, let failure): reloads.answered(worker.number, turn: turn, failure: failure)
        case .report: upgrade?.tellProgress()
        case .sources(let changes, let placed):
            change(changes, of: worker)
            placer.arrived(placed, at: worker.socket)
        case .listing(let listing): inquiries.answered(listing, by: worker.number)
        case .migrated(let sweep, let handedOver, let returned, let left):
            drain?.migrated(worker, sweep: sweep, handedOver: handedOver, returned: returned, left: left)
        case .ready, .acquainted, .failed, .beat, .leaving: return
        }
    }

    /// A worker has more or fewer connections of these sources.
    private func change(_ changes: [String: Int], of worker: WorkerHandle) {
        for (text, number) in changes {
            let source = IPAddress(text)
            worker.change(source, by: number)
            if number > 0 {
                admission.adopt(from: source, count: number)
            } else {
                admission.release(from: source, count: -number)
            }
        }
    }

    private func ended(_ worker: WorkerHandle) {
        inquiries.ended(worker.number)
        tally.withLock { $0.workerEnded(worker.report) }
        for (source, number) in worker.sources { admission.release(from: source, count: number) }
        placer.forget(worker.socket)
        drain?.workerEnded(worker)
        reloads.ended(worker.number)
    }
}
