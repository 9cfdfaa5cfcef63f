internal import CLinuxSockets
internal import Libc

/// What tells one content of a file from another without reading it. Links are followed.
struct FileStamp: Hashable, Sendable {
    private let device, file: UInt64
    private let size, modified, changed: Int64

    /// Nil if there is no file.
    init?(_ path: String) {
        var status = baton_file_status()
        guard baton_file_at(path, 1, &status) == 0 else { return nil }
        (device, file) = (status.device, status.file)
        (size, modified, changed) = (status.size, status.modified, status.changed)
    }
}

/// Files, and what they were at a moment. Taken before they are read, it does not miss a change behind the reading.
struct FileStamps: Equatable, Sendable {
    private(set) var stamps: [String: FileStamp?] = [:]

    init() {}

    init(of paths: some Sequence<String>) {
        for path in paths { stamps[path] = .some(FileStamp(path)) }
    }

    var paths: Dictionary<String, FileStamp?>.Keys { stamps.keys }

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
