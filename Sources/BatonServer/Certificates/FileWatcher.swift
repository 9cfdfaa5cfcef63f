internal import BatonCore
internal import CLinuxSockets
internal import Libc
internal import Synchronization

/// Tells when files have changed. inotify(7) only has it look; whether a file is another one is decided by what stat(2) says. So
/// nothing is lost where the kernel drops events, a folder goes and comes back, or nothing can be watched at all: then files are
/// looked at every two seconds.
///
/// It has a thread of its own, because a look may wait for a network file system.
final class FileWatcher: Sendable {
    /// The most folders that are watched. Files beyond are looked at every two seconds.
    private static let folderLimit = 16_384

    private struct Order {
        var files: FileStamps?
        var isWhole: Bool
    }

    private let orders = Mutex<[Order]>([])
    private let hasThread = Mutex(false)
    private let wake: CInt
    private let changed: @Sendable () -> Void
    private let isDeaf: @Sendable (_ reason: String) -> Void

    /// - Parameters:
    ///   - changed: called on the watcher's thread when files are others than those that were followed last, and from time to time
    ///     where not all of those could be used. It is not called again before `follow` is.
    ///   - isDeaf: called on that thread, once, when the kernel cannot tell of changes.
    init(changed: @escaping @Sendable () -> Void, isDeaf: @escaping @Sendable (_ reason: String) -> Void) {
        wake = baton_wake_open()
        self.changed = changed
        self.isDeaf = isDeaf
    }

    /// - Parameters:
    ///   - files: what has been read last; nil: the same as before. None: nothing is watched.
    ///   - isWhole: whether all of it is in use.
    func follow(_ files: FileStamps?, isWhole: Bool) {
        let (runs, starts) = hasThread.withLock { hasThread in
            let starts = !hasThread && files?.paths.isEmpty == false
            if starts { hasThread = true }
            return (hasThread, starts)
        }
        guard runs else { return }
        orders.withLock { $0.append(Order(files: files, isWhole: isWhole)) }
        if starts {
            startThread("baton-watch") { [self] in
                var watch = Watch(self)
                watch.run()
            }
        }
        if wake >= 0 { baton_wake(wake) }
    }

    /// What the thread has.
    private struct Watch {
        private let watcher: FileWatcher
        private let inotify: CInt
        private var files = FileStamps()
        /// What they were when that was last told, whether or not it could be used.
        private var told = FileStamps()
        private var folders: [CInt: (path: String, names: Set<String>)] = [:]
        private var times = WatchTimes(now: MonotonicTime.now)
        /// Whether the answer of the server is awaited.
        private var hasTold = false
        private var hasToldDeaf = false

        init(_ watcher: FileWatcher) {
            self.watcher = watcher
            inotify = baton_inotify_open()
        }

        mutating func run() {
            if inotify < 0 { becomeDeaf(-inotify) }
            while true {
                take()
                let now = MonotonicTime.now
                if !files.paths.isEmpty, times.lookTime <= now { look() }
                if !files.paths.isEmpty, let retry = times.retryTime, retry <= now, !hasTold {
                    tell(FileStamps(of: files.paths))
                }
                wait()
            }
        }

        private mutating func take() {
            let orders = watcher.orders.withLock { orders in
                defer { orders = [] }
                return orders
            }
            for order in orders {
                if let next = order.files { (files, told) = (next, FileStamps()) }
                hasTold = false
                times.hasRead(isWhole: order.isWhole, at: MonotonicTime.now)
                // Something may have changed since the files were stamped.
                look()
            }
        }

        private mutating func wait() {
            let idle = files.paths.isEmpty
            let next = min(times.lookTime, hasTold ? .max : times.retryTime ?? .max)
            let left = next - min(next, MonotonicTime.now)
            // Rounded up, so that it is time then.
            let timeout = idle ? -1 : CInt(min(left / 1_000_000 + 1, 60_000))
            var polled = [
                pollfd(fd: watcher.wake, events: Int16(POLLIN), revents: 0),
                pollfd(fd: inotify, events: Int16(POLLIN), revents: 0),
            ]
            // Without a descriptor to be woken by there are orders to look for.
            _ = poll(&polled, 2, watcher.wake < 0 ? 1_000 : timeout)
            if watcher.wake >= 0 { baton_rest(watcher.wake) }
            if inotify >= 0 { hear() }
        }

        /// Looks at every file, and watches the folders on the way to them as they are now.
        private mutating func look() {
            times.looked(at: MonotonicTime.now)
            times.hears = watch()
            // Behind the watches: what changes from here on is heard of.
            let now = FileStamps(of: files.paths)
            if !hasTold, now != files, now != told { tell(now) }
        }

        private mutating func tell(_ now: FileStamps) {
            told = now
            hasTold = true
            watcher.changed()
        }

        // MARK: inotify

        /// Whether all folders are watched.
        private mutating func watch() -> Bool {
            guard inotify >= 0 else { return false }
            var known: [String: WatchPlan.Entry] = [:]
            let plan = WatchPlan(files.paths) { path in
                if let entry = known[path] { return entry }
                let entry = WatchPlan.Entry(at: path)
                known[path] = entry
                return entry
            }
            var kept: [CInt: (path: String, names: Set<String>)] = [:]
            var isWhole = true
            for (path, names) in plan.folders {
                guard kept.count < FileWatcher.folderLimit else {
                    becomeDeaf(ENOSPC)
                    isWhole = false
                    break
                }
                let watch = baton_inotify_add(inotify, path)
                if watch >= 0 {
                    // Two paths may lead to one folder.
                    kept[watch, default: (path, [])].names.formUnion(names)
                } else if watch == -ENOENT || watch == -ENOTDIR {
                    // It has gone since; the folder above tells.
                    times.changed(at: MonotonicTime.now)
                } else {
                    becomeDeaf(-watch)
                    isWhole = false
                }
            }
            for watch in folders.keys where kept[watch] == nil { baton_inotify_remove(inotify, watch) }
            folders = kept
            return isWhole
        }

        private mutating func becomeDeaf(_ error: CInt) {
            guard !hasToldDeaf else { return }
            hasToldDeaf = true
            watcher.isDeaf(
                error == ENOSPC || error == EMFILE
                    ? "the limit of inotify is reached; raise fs.inotify.max_user_watches or max_user_instances"
                    : String(cString: strerror(error)))
        }

        /// Reads what the kernel tells.
        private mutating func hear() {
            withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 8) { buffer in
                while true {
                    guard let base = buffer.baseAddress else { return }
                    let count = baton_inotify_read(inotify, base, buffer.count)
                    guard count > 0 else { return }
                    var offset = 0
                    var event = baton_inotify_event()
                    while baton_inotify_next(base, count, &offset, &event) == 1 {
                        if concerns(event) { times.changed(at: MonotonicTime.now) }
                    }
                }
            }
        }

        private mutating func concerns(_ event: baton_inotify_event) -> Bool {
            switch Int(event.kind) {
            case BATON_INOTIFY_ENTRY:
                return event.name.map { folders[event.watch]?.names.contains(String(cString: $0)) ?? false } ?? false
            case BATON_INOTIFY_ENDED:
                return folders.removeValue(forKey: event.watch) != nil
            default:
                return true
            }
        }
    }
}

extension WatchPlan.Entry {
    /// What stands at `path`.
    fileprivate init(at path: String) {
        var status = baton_file_status()
        guard baton_file_at(path, 0, &status) == 0 else {
            self = .missing
            return
        }
        switch status.kind {
        case UInt32(S_IFDIR): self = .folder
        case UInt32(S_IFLNK):
            let target = withUnsafeTemporaryAllocation(byteCount: 4_096, alignment: 1) { buffer -> String? in
                guard let base = buffer.baseAddress else { return nil }
                let count = readlink(path, base.assumingMemoryBound(to: CChar.self), buffer.count)
                return count > 0 ? String(decoding: buffer.prefix(count), as: UTF8.self) : nil
            }
            self = target.map(WatchPlan.Entry.link) ?? .missing
        default: self = .file
        }
    }
}
