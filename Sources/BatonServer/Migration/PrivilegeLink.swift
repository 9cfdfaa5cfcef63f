internal import BatonConfiguration
internal import CLinuxSockets
internal import HostMigration
internal import Libc
internal import Synchronization

/// A front's link to the keeper of the privileged process. The keeper was started when the server still had its
/// privileges, and handed on from front to front.
final class PrivilegeLink: @unchecked Sendable {
    private let channel: NetworkChannel
    /// A front that takes the place of a dead one has the same link: what that one has asked for must not be taken for its own.
    private let turns = Mutex<(last: UInt32, waiting: [UInt32: @Sendable (ProcessEnding) -> Void])>(
        (.random(in: 0 ... .max), [:]))

    /// Where a program executed anew finds its descriptor.
    private static let variable = "BATON_PRIVILEGES"

    /// For whoever takes the place of this front.
    var descriptor: CInt { channel.descriptor }

    /// Takes the socket over.
    init(owning descriptor: CInt) { channel = NetworkChannel(owning: descriptor) }

    /// Begins to hear the keeper. `lost` is called, from another thread, when it is gone.
    func listen(lost: @escaping @Sendable () -> Void) {
        startThread("baton-privileges") { [self] in
            while let message = try? channel.receive() {
                for descriptor in message.descriptors { close(descriptor) }
                switch PrivilegeEvent(message.bytes) {
                case .ended(let turn, let status): ended(turn, ProcessEnding(status: status))
                case .failed(let turn, _): ended(turn, .unknown)
                case nil: break
                }
            }
            lost()
        }
    }

    private func ended(_ turn: UInt32, _ ending: ProcessEnding) {
        turns.withLock { $0.waiting.removeValue(forKey: turn) }?(ending)
    }

    /// Has the privileged process started with a copy of `socket` as its standard input.
    ///
    /// - Parameter ended: called once, from another thread, when it has ended or could not be started.
    func start(
        at socket: CInt, isRestarted: Bool, ended: @escaping @Sendable (ProcessEnding) -> Void
    ) throws(RuntimeError) {
        let turn = turns.withLock { turns in
            turns.last &+= 1
            turns.waiting[turns.last] = ended
            return turns.last
        }
        do throws(RuntimeError) {
            try send(.start(turn: turn, isRestarted: isRestarted), socket)
        } catch {
            _ = turns.withLock { $0.waiting.removeValue(forKey: turn) }
            throw error
        }
    }

    /// A link of its own for the server that replaces this one. The descriptor is the caller's.
    func share() throws(RuntimeError) -> CInt {
        let (near, far) = try UnixSocket.pair(SocketKind.sequencedPackets)
        defer { close(far) }
        do throws(RuntimeError) {
            try send(.share, far)
        } catch {
            close(near)
            throw error
        }
        return near
    }

    private func send(_ order: PrivilegeOrder, _ descriptor: CInt) throws(RuntimeError) {
        do throws(MigrationError) {
            try channel.send(order.encoded, [descriptor])
        } catch {
            throw RuntimeError(
                .processFailed,
                "the process that starts the privileged one is gone; restart the server to move connections again")
        }
    }

    // MARK: Before privileges are given up

    /// Starts a keeper with the privileges of this process.
    ///
    /// - Returns: the descriptor of the link, which is the caller's.
    static func startKeeper(_ migration: Migration) throws(RuntimeError) -> CInt {
        let (near, far) = try UnixSocket.pair(SocketKind.sequencedPackets)
        defer { close(far) }
        do throws(RuntimeError) {
            _ = try ChildProcess.spawn(
                ChildProcess.thisBinary, ["serve-privilege"] + migration.networkArguments, standardInput: far)
        } catch {
            close(near)
            throw error
        }
        return near
    }

    /// Tells the program that is executed next which descriptor it has.
    static func leave(_ descriptor: CInt) { setenv(variable, "\(descriptor)", 1) }

    /// Whether this program was executed with one that nobody has taken yet.
    static var isLeft: Bool { getenv(variable) != nil }

    /// The descriptor that this program was executed with, once.
    static func takeLeft() -> CInt? {
        defer { unsetenv(variable) }
        guard let descriptor = getenv(variable).flatMap({ CInt(String(cString: $0)) }), descriptor > 2,
            fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0
        else { return nil }
        return descriptor
    }
}

extension Migration {
    /// What the privileged process is told when it starts, and holds to.
    var networkArguments: [String] {
        interfaces.flatMap { ["--interface", $0] } + addresses.flatMap { ["--address", "\($0)"] }
            + (takeCommand.map { ["--take-command", $0] } ?? [])
            + (leaveCommand.map { ["--leave-command", $0] } ?? [])
    }
}
