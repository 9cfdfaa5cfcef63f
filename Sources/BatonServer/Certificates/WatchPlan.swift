/// The folders to watch to hear of every change of some files, with the names in them that matter.
///
/// A path may lead through links: `live/NAME/fullchain.pem` of certbot to `archive/NAME/fullchain7.pem`, `tls.crt` of a Kubernetes
/// volume through `..data`, which is renamed. Every link on the way can be turned to another file, so its folder is watched, and
/// so is the folder of what it leads to. Where something is missing, the folder in which it would appear is.
struct WatchPlan: Equatable {
    /// What stands at a path, itself and not what it leads to.
    enum Entry: Equatable {
        case file, folder, missing
        case link(to: String)
    }

    /// The most links on the way to one file, as Linux has it.
    private static let linkLimit = 40

    /// The names that matter, by folder.
    private(set) var folders: [String: Set<String>] = [:]

    /// - Parameter entry: asked for each step of each path, once or more.
    init(_ paths: some Sequence<String>, _ entry: (String) -> Entry) {
        for path in paths { follow(path, entry) }
    }

    private mutating func follow(_ path: String, _ entry: (String) -> Entry) {
        var folder = path.hasPrefix("/") ? "/" : "."
        var rest = Array(path.split(separator: "/").reversed())
        var links = 0
        while let name = rest.popLast() {
            if name == "." { continue }
            if name == ".." {
                folder = Self.parent(of: folder)
                continue
            }
            let next = folder == "/" ? "/\(name)" : "\(folder)/\(name)"
            switch entry(next) {
            // Without links on the way, so that the folder above is the one in the text.
            case .folder: folder = next
            case .file, .missing:
                folders[folder, default: []].insert(String(name))
                return
            case .link(let target):
                folders[folder, default: []].insert(String(name))
                links += 1
                guard links <= Self.linkLimit else { return }
                if target.hasPrefix("/") { folder = "/" }
                rest += target.split(separator: "/").reversed()
            }
        }
    }

    private static func parent(of folder: String) -> String {
        let name = folder.split(separator: "/").last
        if folder == "/" { return "/" }
        if name == nil || name == "." || name == ".." { return folder + "/.." }
        let parent = folder.prefix(upTo: folder.lastIndex(of: "/") ?? folder.startIndex)
        return parent.isEmpty ? (folder.hasPrefix("/") ? "/" : ".") : String(parent)
    }
}

/// When files are looked at, and when they are read once more. Times are nanoseconds of the monotonic clock.
///
/// No I/O, no clock.
struct WatchTimes {
    /// A change is looked at when nothing has happened for so long: a pair of files takes a moment to be written.
    static let quiet: UInt64 = 200_000_000
    /// … but at last so long behind the first.
    static let longest: UInt64 = 2_000_000_000
    /// How often files are looked at though nothing was heard: a network file system tells of no change made elsewhere, and
    /// neither does the folder of a folder that is renamed.
    static let interval: UInt64 = 60_000_000_000
    /// … and where the kernel tells of nothing.
    static let deafInterval: UInt64 = 2_000_000_000
    /// From a reading that has failed to the next, though no file has changed since. It doubles each time.
    static let firstRetry: UInt64 = 1_000_000_000
    static let longestRetry: UInt64 = 60_000_000_000

    private var firstChange: UInt64?
    private var lastChange: UInt64 = 0
    private var lastLook: UInt64
    private var retry: (at: UInt64, after: UInt64)?
    /// Whether changes are told of by the kernel.
    var hears = true

    init(now: UInt64) { lastLook = now }

    /// Something has happened.
    mutating func changed(at now: UInt64) {
        if firstChange == nil { firstChange = now }
        lastChange = now
    }

    /// Files have been looked at.
    mutating func looked(at now: UInt64) {
        firstChange = nil
        lastLook = now
    }

    /// What was read is in use, or not all of it.
    mutating func hasRead(isWhole: Bool, at now: UInt64) {
        guard !isWhole else { return retry = nil }
        let after = retry.map { min(2 * $0.after, Self.longestRetry) } ?? Self.firstRetry
        retry = (now + after, after)
    }

    /// When to look next.
    var lookTime: UInt64 {
        let usual = lastLook + (hears ? Self.interval : Self.deafInterval)
        return firstChange.map { min($0 + Self.longest, lastChange + Self.quiet, usual) } ?? usual
    }

    /// When to read once more; nil: not before something changes.
    var retryTime: UInt64? { retry?.at }
}
