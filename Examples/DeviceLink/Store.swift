import Foundation
import Glibc

/// The mailboxes, each in a file. The file is the truth: every change is made under a lock and renamed into place, so that two
/// processes can both make changes while one replaces the other, and nothing is lost with a process that is killed.
final class Store {
    private struct Stamp: Equatable {
        let inode: UInt64
        let size: Int64
        let seconds: Int
        let nanoseconds: Int
    }

    private let directory: String
    private let folder: CInt
    private let lock: CInt
    private var known: [String: (stamp: Stamp, mailbox: Mailbox)] = [:]

    init(_ directory: String) throws {
        self.directory = directory
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw Self.failure }
        lock = open("\(directory)/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else {
            close(folder)
            throw Self.failure
        }
    }

    deinit {
        close(lock)
        close(folder)
    }

    private static var failure: POSIXError { POSIXError(.init(rawValue: errno) ?? .EIO) }

    /// A name that is also a file's.
    static func isName(_ text: String) -> Bool {
        1...64 ~= text.utf8.count && text.first != "."
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"/\\\"',=+<>#;".utf8.contains($0) }
    }

    /// The devices that have a mailbox.
    var devices: [String] {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        return files.filter { $0.hasSuffix(".json") }.map { String($0.dropLast(5)) }.sorted()
    }

    /// A device's mailbox as it is now. It is read again only when it has changed.
    ///
    /// - Throws: if there is one and it cannot be read: to take it for an empty one would lose what is in it at the next change.
    func mailbox(_ device: String) throws -> Mailbox {
        guard let stamp = try stamp(device) else { return Mailbox() }
        if let (seen, mailbox) = known[device], seen == stamp { return mailbox }
        let data = try Data(contentsOf: URL(fileURLWithPath: path(device)))
        let mailbox = try JSONDecoder().decode(Mailbox.self, from: data)
        known[device] = (stamp, mailbox)
        return mailbox
    }

    /// Changes a mailbox. When it returns the change is on the disk.
    func update<R>(_ device: String, _ change: (inout Mailbox) -> R) throws -> R {
        guard flock(lock, LOCK_EX) == 0 else { throw Self.failure }
        defer { flock(lock, LOCK_UN) }
        let before = try mailbox(device)
        var mailbox = before
        let result = change(&mailbox)
        guard mailbox != before else { return result }
        try write(Array(try JSONEncoder().encode(mailbox)), path(device))
        return result
    }

    private func write(_ bytes: [UInt8], _ path: String) throws {
        let file = open(path + ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw Self.failure }
        defer { close(file) }
        // The new name is on the disk when its folder is.
        guard Glibc.write(file, bytes, bytes.count) == bytes.count, fdatasync(file) == 0,
            rename(path + ".new", path) == 0, fsync(folder) == 0
        else { throw Self.failure }
    }

    private func path(_ device: String) -> String { "\(directory)/\(device).json" }

    private func stamp(_ device: String) throws -> Stamp? {
        var facts = stat()
        guard stat(path(device), &facts) == 0 else {
            guard errno == ENOENT else { throw Self.failure }
            return nil
        }
        return Stamp(
            inode: UInt64(facts.st_ino), size: Int64(facts.st_size), seconds: facts.st_mtim.tv_sec,
            nanoseconds: facts.st_mtim.tv_nsec)
    }
}
