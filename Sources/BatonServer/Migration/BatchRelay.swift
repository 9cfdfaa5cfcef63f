internal import BatonCore
internal import HostMigration
internal import Libc
internal import TLSRecords

/// Passes the stream between the privileged processes of two hosts through the link, while a batch is under way. Its local
/// end is a stream socket to this host's.
final class BatchRelay {
    private let link: PeerLink
    private var local: CInt
    /// Received from the link and not yet taken by the local end.
    private var backlog = ByteQueue()
    private var linkError: LinkError?
    /// Whether the other host has said that nothing more of the batch comes.
    private(set) var hasPeerEnded = false
    private var lastProgress = MonotonicTime.now

    /// Beyond this the link is not read.
    private static let maxBacklog = 1 << 20
    /// How long the link may be silent during a batch: longer than the other host may hold packets.
    private static let silence: UInt64 = 30_000_000_000

    /// Takes the local end over.
    init(_ link: PeerLink, local: CInt) {
        self.link = link
        self.local = local
        _ = fcntl(local, F_SETFL, fcntl(local, F_GETFL) | O_NONBLOCK)
    }

    deinit { if local >= 0 { close(local) } }

    /// Why the link failed, if it has. The local side is hung up on then.
    var failure: LinkError? { linkError }

    /// Whether the local end is closed.
    var isLocalEnded: Bool { local < 0 }

    /// Waits until something can be done, and does it.
    ///
    /// - Parameter watched: another descriptor to wait for.
    /// - Returns: whether it is readable.
    func step(watching watched: CInt) -> Bool {
        // What was read with the parcels, or stayed behind a full backlog, wakes no poll(2).
        var limit: Int32 = takeFrames() ? 0 : 1000
        var polled = [
            pollfd(fd: watched, events: Int16(POLLIN), revents: 0), pollfd(fd: -1, events: 0, revents: 0),
            pollfd(fd: local, events: 0, revents: 0),
        ]
        if linkError == nil {
            let (events, delay) = link.interest()
            polled[1].fd = link.descriptor
            polled[1].events = backlog.count < Self.maxBacklog ? events : events & ~Int16(POLLIN)
            if delay >= 0 { limit = min(limit, delay) }
            if link.hasRoom { polled[2].events |= Int16(POLLIN) }
        } else {
            polled[2].events |= Int16(POLLIN)
        }
        if !backlog.isEmpty { polled[2].events |= Int16(POLLOUT) }
        _ = poll(&polled, 3, limit)
        do throws(LinkError) {
            if polled[2].revents != 0 { try readLocal() }
            if linkError == nil { try link.step() }
            if MonotonicTime.now > lastProgress + Self.silence { throw .silent }
        } catch {
            fail(error)
        }
        takeFrames()
        writeLocal()
        return polled[0].revents != 0
    }

    /// Takes what the link has read; whether there was anything.
    @discardableResult
    private func takeFrames() -> Bool {
        var isAny = false
        do throws(LinkError) {
            while linkError == nil, !hasPeerEnded, backlog.count < Self.maxBacklog, let frame = try link.nextFrame() {
                isAny = true
                try handle(frame)
            }
        } catch {
            fail(error)
            isAny = true
        }
        return isAny
    }

    private func fail(_ error: LinkError) {
        linkError = error
        endLocal()
    }

    private func handle(_ frame: PeerLink.Frame) throws(LinkError) {
        lastProgress = MonotonicTime.now
        switch frame.kind {
        case .relay: frame.withBytes { backlog.append($0) }
        case .batchEnd: hasPeerEnded = true
        default: throw .violation
        }
    }

    private func readLocal() throws(LinkError) {
        guard local >= 0 else { return }
        var chunk = ByteQueue()
        var end = false
        chunk.append(minimum: LinkFrame.relay.limit) { space in
            let count = recv(local, space.baseAddress, LinkFrame.relay.limit, 0)
            if count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR) { end = true }
            return max(0, count)
        }
        if !chunk.isEmpty, linkError == nil {
            lastProgress = MonotonicTime.now
            let result = chunk.withBytes { bytes in Result { () throws(LinkError) in try link.queue(.relay, bytes) } }
            try result.get()
        }
        if end { endLocal() }
    }

    private func writeLocal() {
        while !backlog.isEmpty, local >= 0 {
            let count = backlog.withBytes { send(local, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count > 0 {
                backlog.consume(count)
            } else if errno == EAGAIN {
                return
            } else if errno != EINTR {
                endLocal()
            }
        }
        if hasPeerEnded, local >= 0 { shutdown(local, Int32(SHUT_WR)) }
    }

    private func endLocal() {
        guard local >= 0 else { return }
        close(local)
        local = -1
        backlog.removeAll()
    }
}
