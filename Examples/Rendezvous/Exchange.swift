import NIOCore

/// Where an uploader and a downloader meet, and those who watch. It holds no bytes: a piece that the uploader's connection has
/// given goes to the downloader's at once, and no more is read while that one is full. So what a transfer takes is bounded by
/// the two connections' buffers, however slow the reader.
///
/// A deploy moves the two one after the other. Whoever has met before (`hasMet` in its state) waits here for the other, and comes
/// before who is new.
final class Exchange {
    /// How long one waits for the other: the first time, and after a move.
    private static let waitTime = TimeAmount.minutes(10)
    private static let rejoinTime = TimeAmount.seconds(30)

    private let eventLoop: any EventLoop
    private let isEmpty: (Exchange) -> Void
    private var uploader: Uploader?
    private var downloader: Downloader?
    private var watchers: [ObjectIdentifier: Watcher] = [:]
    private var hasMet = false
    private var limit: Scheduled<Void>?
    /// How the last transfer ended here; kept for a while for watchers that are still on their way from another process.
    private var outcome: Notice?
    private var forgetting: Scheduled<Void>?

    init(_ eventLoop: any EventLoop, isEmpty: @escaping (Exchange) -> Void) {
        self.eventLoop = eventLoop
        self.isEmpty = isEmpty
    }

    // MARK: Coming

    func take(_ comer: Uploader) throws(Refusal) {
        if comer.state.hasMet, comer.state.body.isEnded, outcome?.event == Notice.done(0).event {
            // The downloader was quicker, and had everything.
            return comer.succeed()
        }
        if !hasMet, !comer.state.hasMet, let older = uploader {
            // One that waits is not read, so nobody knows whether its client is still there.
            uploader = nil
            older.end(.conflict("another upload has come with this token"))
        }
        try makeRoom(hasMet: comer.state.hasMet, isTaken: uploader != nil)
        uploader = comer
        arrive(.came(.uploader), hasMet: comer.state.hasMet)
    }

    func take(_ comer: Downloader) throws(Refusal) {
        try makeRoom(hasMet: comer.state.hasMet, isTaken: downloader != nil)
        downloader = comer
        arrive(.came(.downloader), hasMet: comer.state.hasMet)
    }

    private func makeRoom(hasMet: Bool, isTaken: Bool) throws(Refusal) {
        if hasMet, !self.hasMet {
            // Who has come meanwhile is not the one the comer has met.
            let refusal = Refusal.conflict("this token is in use")
            let (newUploader, newDownloader) = (uploader, downloader)
            (uploader, downloader) = (nil, nil)
            newUploader?.end(refusal)
            newDownloader?.end(refusal)
        } else if isTaken || self.hasMet != hasMet {
            throw .conflict("this token is in use")
        }
    }

    private func arrive(_ notice: Notice, hasMet: Bool) {
        if hasMet { self.hasMet = true } else { tell(notice) }
        if let downloader, downloader.state.isEnded {
            limit?.cancel()
            uploader?.stay()
            downloader.confirm()
        } else if let uploader, let downloader {
            limit?.cancel()
            if !self.hasMet {
                self.hasMet = true
                // This is another transfer than the one that ended.
                forget()
                tell(.met)
                downloader.meet(total: uploader.state.total)
                uploader.meet()
            }
            uploader.proceed()
        } else {
            awaitOther()
        }
    }

    private func awaitOther() {
        limit?.cancel()
        limit = eventLoop.assumeIsolated().scheduleTask(in: hasMet ? Self.rejoinTime : Self.waitTime) { [self] in
            if hasMet {
                fail(.gone("the other side did not come along"))
            } else {
                let (uploader, downloader) = (uploader, downloader)
                (self.uploader, self.downloader) = (nil, nil)
                uploader?.end(.timeout("nobody came to download"))
                downloader?.end(.timeout("nobody came to upload"))
                removeIfEmpty()
            }
        }
    }

    // MARK: Passing on

    /// Whether the downloader takes more now.
    var isWritable: Bool { uploader != nil && downloader?.isWritable == true }

    func pass(_ piece: ByteBuffer, count: Int, total: Int?) {
        downloader?.send(piece)
        for watcher in watchers.values { watcher.tellProgress(count, of: total) }
    }

    /// Everything has been passed on. The uploader does not move before its downloader: it would wait in the new process for one
    /// that has ended in the old.
    func uploadEnded() {
        guard let downloader else { return }
        uploader?.stay()
        downloader.finish()
    }

    /// The downloader takes more again.
    func becameWritable() { uploader?.proceed() }

    /// The downloader has everything.
    func downloaded(_ count: Int) {
        let uploader = uploader
        (self.uploader, self.downloader, hasMet) = (nil, nil, false)
        uploader?.succeed()
        settle(.done(count))
    }

    // MARK: Going

    /// The connection has left for another process, and its meeting with it.
    func left(_ comer: Uploader) {
        guard uploader === comer else { return }
        uploader = nil
        leave()
    }

    func left(_ comer: Downloader) {
        guard downloader === comer else { return }
        downloader = nil
        uploader?.mayMove()
        leave()
    }

    private func leave() {
        if uploader == nil, downloader == nil { hasMet = false }
        removeIfEmpty()
    }

    /// The uploader's connection has ended, or it has sent what is no upload.
    func lost(_ comer: Uploader) {
        guard uploader === comer else { return }
        uploader = nil
        // Who has sent everything may go.
        guard !comer.state.body.isEnded || !hasMet else { return }
        lose(.uploader)
    }

    func lost(_ comer: Downloader) {
        guard downloader === comer else { return }
        downloader = nil
        lose(.downloader)
    }

    private func lose(_ side: Notice.Side) {
        guard hasMet else {
            limit?.cancel()
            tell(.left(side))
            return removeIfEmpty()
        }
        fail(.gone("the \(side.rawValue) has gone"))
    }

    private func fail(_ refusal: Refusal) {
        let (uploader, downloader) = (uploader, downloader)
        (self.uploader, self.downloader, hasMet) = (nil, nil, false)
        uploader?.end(refusal)
        downloader?.breakOff()
        settle(.failed(refusal.text))
    }

    private func settle(_ notice: Notice) {
        limit?.cancel()
        forget()
        outcome = notice
        tell(notice)
        forgetting = eventLoop.assumeIsolated().scheduleTask(in: Self.rejoinTime) { [self] in
            outcome = nil
            removeIfEmpty()
        }
    }

    private func forget() {
        forgetting?.cancel()
        outcome = nil
    }

    private func removeIfEmpty() {
        guard uploader == nil, downloader == nil, watchers.isEmpty, outcome == nil else { return }
        limit?.cancel()
        isEmpty(self)
    }

    // MARK: Watching

    func add(_ watcher: Watcher, hasMoved: Bool) {
        watchers[ObjectIdentifier(watcher)] = watcher
        if !hasMoved {
            watcher.tell(.state(hasUploader: uploader != nil, hasDownloader: downloader != nil))
        } else if let outcome {
            // It ended after the watcher had left the process where it would have been told.
            watcher.tell(outcome)
        }
    }

    func remove(_ watcher: Watcher) {
        watchers[ObjectIdentifier(watcher)] = nil
        removeIfEmpty()
    }

    private func tell(_ notice: Notice) { for watcher in watchers.values { watcher.tell(notice) } }
}
