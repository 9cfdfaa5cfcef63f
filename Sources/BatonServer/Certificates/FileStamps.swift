internal import TLSHandshake

/// Files, and what they were at a moment. Taken before they are read, it does not miss a change behind the reading.
struct FileStamps: Equatable, Sendable {
    private(set) var stamps: [String: SmallFile.Stamp?] = [:]

    init() {}

    init(of paths: some Sequence<String>) {
        for path in paths { stamps[path] = .some(SmallFile(path).stamp) }
    }

    var paths: Dictionary<String, SmallFile.Stamp?>.Keys { stamps.keys }

    /// The files that are others here than in `before`, in order.
    func changes(since before: FileStamps) -> [String] {
        stamps.filter { before.stamps[$0.key] != .some($0.value) }.map(\.key).sorted()
    }

    /// These, but of some files what they were before.
    func keeping(_ paths: Set<String>, of before: FileStamps) -> FileStamps {
        var kept = self
        for path in paths {
            if let known = before.stamps[path] { kept.stamps[path] = .some(known) }
        }
        return kept
    }
}
