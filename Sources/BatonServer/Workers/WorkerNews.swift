/// Passes on what workers say to the parts of the front that it concerns. Used on the front's loop only.
struct WorkerNews {
    let reloads: Reloads
    let upgrades: Upgrades
    let drains: Drains
    let inquiries: Inquiries
    let admission: Admission
    let newcomers: Newcomers
    let tally: SharedTally
    let upstreams: UpstreamWatch

    func received(_ message: WorkerMessage, from worker: WorkerHandle) {
        switch message {
        case .reconfigured(let turn, let failure): reloads.answered(worker.number, turn: turn, failure: failure)
        case .report:
            upgrades.tellProgress()
            upstreams.heard(from: worker)
        case .sources(let changes, let placed, let waiting):
            if let waiting { worker.keep(waiting) }
            admission.change(changes, of: worker)
            newcomers.arrived(placed, at: worker)
        case .listing(let listing): inquiries.answered(listing, by: worker.number)
        case .migrated(let sweep, let handedOver, let returned, let left):
            drains.migrated(worker, sweep: sweep, handedOver: handedOver, returned: returned, left: left)
        case .ready, .acquainted, .failed, .beat, .leaving: return
        }
    }

    /// A worker is gone.
    func ended(_ worker: WorkerHandle) {
        inquiries.ended(worker.number)
        worker.tellWaiting()
        tally.withLock { $0.workerEnded(worker.report) }
        admission.forget(worker)
        newcomers.forget(worker)
        drains.workerEnded(worker)
        reloads.ended(worker.number)
        upstreams.ended(worker)
    }
}
