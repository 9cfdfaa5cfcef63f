import Foundation
import Handoff
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1)))
struct SocketLockTests {
    @Test("it is held by one at a time, and free when its holder lets it go")
    func exclusive() throws {
        let path = temporaryDirectory() + "/socket"
        var first: SocketLock? = try SocketLock(beside: path)
        #expect(code { () throws(HandoffError) in _ = try SocketLock(beside: path) } == .pathInUse)
        // Beside another socket lies another lock.
        _ = try SocketLock(beside: path + "2")
        withExtendedLifetime(first) {}
        first = nil
        _ = try SocketLock(beside: path)
    }

    @Test("a duplicate that was handed on holds it when the first holder is gone")
    func adopted() throws {
        let path = temporaryDirectory() + "/socket"
        var first: SocketLock? = try SocketLock(beside: path)
        let copy = fcntl(first?.descriptor ?? -1, F_DUPFD_CLOEXEC, 3)
        let second = SocketLock(adopting: copy, beside: path)
        first = nil
        #expect(code { () throws(HandoffError) in _ = try SocketLock(beside: path) } == .pathInUse)
        second.removeFiles()
        #expect(access(path + ".lock", F_OK) != 0)
        _ = try SocketLock(beside: path)
    }

    @Test("who has lost its lock file removes nothing of who has the path now")
    func late() throws {
        let path = temporaryDirectory() + "/socket"
        let first = try SocketLock(beside: path)
        first.removeFiles()
        let second = try SocketLock(beside: path)
        let descriptor = socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let isBound = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        #expect(isBound)
        first.removeFiles()
        #expect(access(path, F_OK) == 0 && access(path + ".lock", F_OK) == 0)
        second.removeFiles()
        #expect(access(path, F_OK) != 0 && access(path + ".lock", F_OK) != 0)
    }

    @Test("holders that remove the lock file never overlap, and every one of them comes to it")
    func removal() throws {
        let path = temporaryDirectory() + "/socket"
        let holders = Atomic(0)
        let overlaps = Atomic(0)
        let failures = Atomic(0)
        DispatchQueue.concurrentPerform(iterations: 4) { _ in
            for _ in 0..<200 {
                while true {
                    do throws(HandoffError) {
                        let lock = try SocketLock(beside: path)
                        if holders.add(1, ordering: .sequentiallyConsistent).newValue != 1 {
                            overlaps.add(1, ordering: .sequentiallyConsistent)
                        }
                        sched_yield()
                        holders.subtract(1, ordering: .sequentiallyConsistent)
                        lock.removeFiles()
                        break
                    } catch {
                        if error.code != .pathInUse { failures.add(1, ordering: .sequentiallyConsistent) }
                    }
                }
            }
        }
        #expect(overlaps.load(ordering: .sequentiallyConsistent) == 0)
        #expect(failures.load(ordering: .sequentiallyConsistent) == 0)
    }

    @Test("a stale socket is removed; one at which somebody listens, of whatever kind, is not")
    func staleness() throws {
        for kind in [SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM] {
            let path = temporaryDirectory() + "/socket"
            let lock = try SocketLock(beside: path)
            try lock.removeStaleSocket()
            let descriptor = socket(AF_UNIX, Int32(kind.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
            let isBound = withUnsafePointer(to: address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
                }
            }
            #expect(isBound && (kind == SOCK_DGRAM || listen(descriptor, 1) == 0))
            #expect(code { () throws(HandoffError) in try lock.removeStaleSocket() } == .pathInUse)
            #expect(access(path, F_OK) == 0)
            close(descriptor)
            try lock.removeStaleSocket()
            #expect(access(path, F_OK) != 0)
        }
    }

    @Test("what is no socket and no lock is left alone")
    func foreignFiles() throws {
        let path = temporaryDirectory() + "/socket"
        try Data("mine".utf8).write(to: URL(fileURLWithPath: path + ".lock"))
        #expect(code { () throws(HandoffError) in _ = try SocketLock(beside: path) } == .foreignFile)
        #expect(try Data(contentsOf: URL(fileURLWithPath: path + ".lock")) == Data("mine".utf8))
        unlink(path + ".lock")
        symlink(path + ".elsewhere", path + ".lock")
        #expect(code { () throws(HandoffError) in _ = try SocketLock(beside: path) } == .system)
        #expect(access(path + ".elsewhere", F_OK) != 0)
        unlink(path + ".lock")
        let lock = try SocketLock(beside: path)
        mkdir(path, 0o700)
        #expect(code { () throws(HandoffError) in try lock.removeStaleSocket() } == .foreignFile)
        lock.removeFiles()
        #expect(access(path, F_OK) == 0)
    }
}
