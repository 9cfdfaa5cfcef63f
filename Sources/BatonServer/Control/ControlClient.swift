package import BatonConfiguration
internal import BatonCore
internal import Foundation
internal import Libc

/// Commands to a running server.
package struct ControlClient: Sendable {
    private let path: String

    /// A client of the server at the control socket `path`.
    package init(path: String) { self.path = path }

    /// What the server tells of itself. A front that dies while it is asked has another in its place, which is asked instead.
    ///
    /// - Throws: `RuntimeError` if no server answers.
    package func status() throws -> StatusReport {
        let deadline = Deadline.after(.seconds(10))
        var pause: CInt = 10
        while true {
            let connection = try open()
            do {
                try connection.send(.status)
                guard case .status(let report) = try connection.next() else { throw unexpected }
                return report
            } catch let error as RuntimeError where error.code == .noAnswer && !deadline.hasPassed {
                // A process that crashes accepts until it has ended.
                poll(nil, 0, pause)
                pause = min(2 * pause, 500)
            }
        }
    }

    /// The certificates of the server.
    ///
    /// - Throws: `RuntimeError` if no server answers.
    package func certificates() throws -> CertificatesReport {
        let connection = try open()
        try connection.send(.certificates)
        switch try connection.next() {
        case .certificates(let report): return report
        case .failed(let why): throw RuntimeError(.refused, why)
        case .status, .upgrading, .upgraded, .draining, .drained, .reloaded, .again, .granted: throw unexpected
        }
    }

    /// Has the server start workers, or hand the connections of some to the others and end them, until there are `count`.
    /// The configuration's number holds again when that is changed.
    ///
    /// - Parameter count: 1 to 1,024.
    /// - Returns: the state when the last worker has started; workers that are `retiring` end with their last connection.
    /// - Throws: `RuntimeError` if the server cannot, or does not answer.
    package func setWorkers(_ count: Int) throws -> StatusReport {
        let connection = try open()
        try connection.send(.workers(count))
        switch try connection.next() {
        case .status(let report): return report
        case .failed(let why): throw RuntimeError(.refused, why)
        case .upgrading, .upgraded, .draining, .drained, .reloaded, .again, .granted, .certificates: throw unexpected
        }
    }

    /// Has the server read its configuration and all files that it names again, and waits until every process of it uses them.
    /// If the server is being replaced, the new one does so.
    ///
    /// - Throws: `RuntimeError` with the reason if the configuration cannot be used; the server goes on with the one it had.
    package func reload() throws -> ReloadReport {
        // A server is replaced a few times in a row at most.
        for _ in 0..<100 {
            let connection = try open()
            try connection.send(.reload)
            switch try connection.next() {
            case .reloaded(let report): return report
            case .again: continue
            case .failed(let why): throw RuntimeError(.refused, why)
            case .status, .upgrading, .upgraded, .draining, .drained, .granted, .certificates: throw unexpected
            }
        }
        throw unexpected
    }

    /// Replaces the server by a new process, and waits until the old one has nothing left.
    ///
    /// - Parameters:
    ///   - binary: the program to start, a path; nil: what the server was started as, as it is now.
    ///   - progress: called as connections move.
    /// - Throws: `RuntimeError`; the old server goes on then.
    package func upgrade(binary: String?, progress: (UpgradeProgress) -> Void) throws -> UpgradeReport {
        let connection = try open()
        try connection.send(.upgrade(binary: binary.map { StartedProgram.absolute($0, in: StartDirectory.path) }))
        while true {
            switch try connection.next() {
            case .upgrading(let step): progress(step)
            case .upgraded(let report): return report
            case .failed(let why): throw RuntimeError(.refused, why)
            case .status, .draining, .drained, .reloaded, .again, .granted, .certificates: throw unexpected
            }
        }
    }

    /// Moves every connection, and the service addresses, to another host, and waits for the end.
    ///
    /// - Parameters:
    ///   - peer: the other host's name in the server's configuration.
    ///   - isDryRun: say only what could move.
    ///   - progress: called as connections move.
    ///   - mustStop: asked from time to time; once it is true nothing more is begun.
    /// - Throws: `RuntimeError`; every connection is where it was then.
    package func drain(
        to peer: String, isDryRun: Bool, progress: (DrainProgress) -> Void, mustStop: () -> Bool
    ) throws -> DrainReport {
        let connection = try open()
        try connection.send(.drain(to: peer, isDryRun: isDryRun))
        var hasStopped = false
        while true {
            repeat {
                guard !hasStopped, mustStop() else { continue }
                hasStopped = true
                // If the drain has ended meanwhile nobody reads this, and the report is there to be read.
                try? connection.send(.stop)
            } while try !connection.waitForAnswer(milliseconds: 100)
            switch try connection.next() {
            case .draining(let step): progress(step)
            case .drained(let report): return report
            case .failed(let why): throw RuntimeError(.refused, why)
            case .status, .upgrading, .upgraded, .reloaded, .again, .granted, .certificates: throw unexpected
            }
        }
    }

    private var unexpected: RuntimeError {
        RuntimeError(.refused, "the server at \(path) gave an answer this program does not know; use its own version")
    }

    private func open() throws(RuntimeError) -> Connection {
        guard let descriptor = UnixSocket.connect(path) else {
            let why = errno == EACCES ? "this user may not use it" : "no server answers there"
            throw RuntimeError(.notRunning, "the control socket \(path): \(why); start baton serve or give --control")
        }
        return Connection(descriptor, path)
    }

    private final class Connection {
        private let file: FileHandle
        private let path: String
        private var pending = Data()

        init(_ descriptor: CInt, _ path: String) {
            file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
            self.path = path
        }

        func send(_ request: ControlRequest) throws {
            let line = try JSONEncoder().encode(request) + Data("\n".utf8)
            do {
                try file.write(contentsOf: line)
            } catch {
                throw closed
            }
        }

        private var closed: RuntimeError {
            RuntimeError(.noAnswer, "the server at \(path) closed the connection; its log tells why")
        }

        /// Whether there is something to read within that time, or the end.
        func waitForAnswer(milliseconds: CInt) throws -> Bool {
            if pending.contains(UInt8(ascii: "\n")) { return true }
            var request = pollfd(fd: file.fileDescriptor, events: Int16(POLLIN), revents: 0)
            return poll(&request, 1, milliseconds) > 0
        }

        func next() throws -> ControlResponse {
            while true {
                if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                    let line = pending[pending.startIndex..<end]
                    pending.removeSubrange(pending.startIndex...end)
                    do {
                        return try JSONDecoder().decode(ControlResponse.self, from: line)
                    } catch {
                        throw RuntimeError(
                            .refused, "the server at \(path) gave an answer that cannot be read; use its own version")
                    }
                }
                // Not FileHandle's reading, which waits for as much as it may read.
                var buffer = [UInt8](repeating: 0, count: 64 << 10)
                let count = read(file.fileDescriptor, &buffer, buffer.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else {
                    throw closed
                }
                pending += buffer[..<count]
            }
        }
    }
}
