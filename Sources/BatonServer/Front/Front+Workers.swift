internal import BatonConfiguration
internal import BatonCore
internal import Glibc
internal import Handoff
internal import Logging
internal import NIOCore
internal import Synchronization

extension Front {
    /// A worker that ends this often before it is ready is not started again at once.
    private static let slowest = 5.0
    /// Within which a signal to all processes of a server reaches the last of them.
    private static let stopReach = TimeAmount.milliseconds(200)

    func startWorker() {
        lastWorkerNumber += 1
        let number = lastWorkerNumber
        let directory = ControlSocket.runtimeDirectory(control.path)
        do {
            let child = try keeper.start(
                StartOrder(role: .worker(number: number, directory: directory), arguments: ["serve-worker"]))
            let worker = WorkerHandle(
                number: number, process: child.process, pid: child.pid,
                socket: KeptWorker.socket(in: directory, number, child.pid))
            follow(worker, child.link) { [self] link in
                link.send(
                    .configure(WorkerSetup(number: number, file: file, flags: options.flags, socket: worker.socket)))
            }
        } catch {
            log.error("a worker cannot be started", metadata: ["reason": "\(error)"])
            if readiness == nil { return replace(wasReady: false) }
            failReadiness("\(error)")
        }
    }

    /// Speaks with a worker, and hears of its end.
    ///
    /// - Parameter linked: called once, on the loop, when it can be spoken to.
    func follow(_ worker: WorkerHandle, _ descriptor: CInt, linked: @escaping (JSONLink<FrontMessage>) -> Void) {
        workers.append(worker)
        let bound = NIOLoopBound((worker, linked), eventLoop: loop)
        JSONLines<WorkerMessage, FrontMessage>.open(descriptor, on: loop) { [self] message in
            received(message, from: bound.value.0)
        } ended: { [self] in
            bound.value.0.isLinkEnded = true
            ended(bound.value.0)
        }.whenComplete { [self] result in
            let (worker, linked) = bound.value
            switch result {
            case .success(let link):
                worker.link = link
                linked(link)
            case .failure:
                worker.isLinkEnded = true
                keeper.signal(worker.process, SIGKILL)
            }
        }
        keeper.watch(worker.process) { [self] ending in
            loop.execute {
                bound.value.0.ending = ending
                self.ended(bound.value.0)
            }
        }
    }

    /// The server is ready when all its processes are.
    func becomeReady() {
        guard workers.allSatisfy({ $0.state != .starting && $0.siblings >= workers.count - 1 }),
            !migration.areStarting
        else { return }
        readiness?.succeed()
        readiness = nil
    }

    private func received(_ message: WorkerMessage, from worker: WorkerHandle) {
        switch message {
        case .ready:
            worker.isAdopted = false
            guard worker.state == .starting else { return }
            worker.state = .ready
            failedStarts = 0
            // It was starting when the others were told.
            if case .finishing = phase { worker.link?.send(.finish) }
            tellSiblings()
            if workers.allSatisfy({ $0.state != .starting }) { tellWorkers() }
        case .acquainted(let count):
            worker.siblings = count
            becomeReady()
        case .reconfigured(let turn, let failure): reloads.answered(worker.number, turn: turn, failure: failure)
        case .failed(let why):
            log.error("a worker cannot start", metadata: ["worker": "\(worker.number)", "reason": "\(why)"])
            worker.link?.channel.close(promise: nil)
            failReadiness(why)
        case .beat: answered(worker)
        case .report(let report):
            worker.report = report
            if case .retiring(let successor) = phase { progress(successor) }
        case .sources(let changes, let placed):
            change(changes, of: worker)
            for placement in placed {
                guard let source = worker.underWay.remove(placement) else { continue }
                admission.release(from: source)
            }
        case .listing(let listing): inquiries.answered(listing, by: worker.number)
        case .migrated(let sweep, let handedOver, let returned, let left):
            drain?.migrated(worker, sweep: sweep, handedOver: handedOver, returned: returned, left: left)
        case .leaving:
            let bound = NIOLoopBound(worker, eventLoop: loop)
            loop.scheduleTask(in: Self.stopReach) { [self] in letGo(bound.value) }
        }
    }

    /// A worker was asked to stop. Who stops all processes of a server at once means the server: then the front has been
    /// asked as well by now.
    private func letGo(_ worker: WorkerHandle) {
        guard worker.state == .ready, case .serving = phase, !isStopping else { return }
        log.notice("a worker was asked to stop", metadata: ["worker": "\(worker.number)", "pid": "\(worker.pid)"])
        drain([worker])
        startWorker()
    }

    /// Takes workers out of service: their connections go to the others.
    private func drain(_ leaving: [WorkerHandle]) {
        for worker in leaving { worker.state = .draining }
        tellSiblings()
    }

    /// `baton workers N`.
    func setWorkers(_ count: Int, asked: JSONLink<ControlResponse>) {
        guard case .serving = phase, !isStopping else {
            return asked.finish(.failed("the server is being replaced or stopped; look at baton status"))
        }
        guard (1...1_024).contains(count) else { return asked.finish(.failed("a server has 1 to 1024 workers")) }
        log.notice("the number of workers is set", metadata: ["workers": "\(count)"])
        workersAsked = count
        workersWaiting.append(asked)
        adjustWorkerCount()
        if workers.allSatisfy({ $0.state != .starting }) { return tellWorkers() }
        loop.scheduleTask(in: Self.startLimit) { [self] in
            for link in workersWaiting { link.finish(.failed("the workers did not start in time; see the log")) }
            workersWaiting = []
        }
    }

    /// No worker is starting any more.
    private func tellWorkers() {
        let report = status
        for link in workersWaiting { link.finish(.status(report)) }
        workersWaiting = []
    }

    private func ended(_ worker: WorkerHandle) {
        guard let ending = worker.ending, worker.isLinkEnded, worker.state != .gone else { return }
        let before = worker.state
        worker.state = .gone
        worker.link?.channel.close(promise: nil)
        inquiries.ended(worker.number)
        tally.withLock { $0.workerEnded(worker.report) }
        workers.removeAll { $0 === worker }
        for (source, number) in worker.sources { admission.release(from: source, count: number) }
        admission.release(from: worker.underWay.removeAll())
        senders[worker.socket] = nil
        drain?.workerEnded(worker)
        reloads.ended(worker.number)
        unlink(worker.socket)
        unlink(worker.socket + ".lock")
        tellSiblings()
        switch (phase, before) {
        case (.finishing, _), (.retiring, _): endIfDone()
        case (_, .draining):
            log.info("a worker has ended", metadata: ["worker": "\(worker.number)", "pid": "\(worker.pid)"])
        case (.serving, .starting) where ending == .exited(0):
            // It was leaving already when it was to go on after a failed upgrade.
            startWorker()
        case (.serving, .ready) where ending == .exited(0) && worker.isAdopted:
            // It was leaving already when its front died.
            adjustWorkerCount()
        case (.starting, _):
            failReadiness("a worker ended while it started (\(ending)); see the log")
        default:
            log.error(
                "a worker has died; another takes its place and goes on with what it relayed",
                metadata: [
                    "worker": "\(worker.number)", "pid": "\(worker.pid)", "ending": "\(ending)",
                    "connections": "\(worker.report.connections)",
                ])
            // One that was silent for long has been replaced.
            if !worker.isReplaced { replace(wasReady: before == .ready) }
        }
    }

    private func replace(wasReady: Bool) {
        failedStarts = wasReady ? 0 : failedStarts + 1
        guard failedStarts > 0 else { return startWorker() }
        let delay = min(Self.slowest, 0.1 * Double(1 << min(failedStarts, 10)))
        loop.scheduleTask(in: .milliseconds(Int64(delay * 1000))) { [self] in
            switch phase {
            case .serving, .replacing: adjustWorkerCount()
            case .starting, .retiring, .finishing: return
            }
        }
    }

    /// After a change of the configuration.
    func adjustWorkerCount() {
        let active = workers.filter { ($0.state == .ready && !$0.isReplaced) || $0.state == .starting }
        if active.count < workerCount {
            for _ in active.count..<workerCount { startWorker() }
        } else {
            drain(Array(active.suffix(active.count - workerCount)))
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

    /// Who there is to give connections to.
    func tellSiblings() {
        let ready = workers.filter(\.takesConnections)
        for worker in ready { worker.link?.send(.siblings(ready.filter { $0 !== worker }.map(\.socket))) }
        if !ready.isEmpty { tellPredecessor(.workers(ready.map(\.socket))) }
        switch phase {
        case .starting, .serving, .replacing:
            // Those that leave must not wait for one that has left.
            for worker in workers where worker.state == .draining && worker.ending == nil {
                if ready.isEmpty, workers.contains(where: { $0.state == .ready }) { continue }
                worker.link?.send(ready.isEmpty ? .finish : .drain(to: ready.map(\.socket)))
            }
        case .retiring, .finishing: break
        }
        migration.send(.workers(ready.map(\.socket)))
    }
}
