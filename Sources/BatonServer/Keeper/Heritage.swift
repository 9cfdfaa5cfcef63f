internal import BatonCore
internal import CLinuxSockets
internal import Foundation
internal import Libc

/// What the keepers of two services say to each other beside `EstateMessage`, one byte each.
enum SuccessionNotice: UInt8 {
    /// From the new service: it accepts, and is the service from here on.
    case serves = 64
    /// To the new service: it is not to be the service. It ends; the end of the channel tells the other one.
    case giveUp = 65
    /// To the new service: its files are to be read again.
    case reload = 66

    var encoded: [UInt8] { [rawValue] }

    init?(_ bytes: [UInt8]) {
        guard bytes.count == 1, let notice = SuccessionNotice(rawValue: bytes[0]) else { return nil }
        self = notice
    }
}

/// What a keeper has of the service that its own is to succeed, as long as that is there.
final class Heritage {
    /// To the other service's keeper.
    let channel: KeeperChannel
    /// The first front's link to the other service's front; that front has it once it is started.
    private(set) var link: CInt
    /// Where that front has the rest from.
    let takeover: String
    /// What is on its way. It is the other service's until that says `begin`, and is not used before.
    var estates: [UInt32: Estate] = [:]

    private init(channel: KeeperChannel, link: CInt, takeover: String) {
        self.channel = channel
        self.link = link
        self.takeover = takeover
    }

    deinit { closeLink() }

    func closeLink() {
        if link >= 0 { close(link) }
        link = -1
    }

    // MARK: Asking for it

    /// How long the running service may take to answer: it may be in the midst of an upgrade.
    private static let patience = Duration.seconds(60)
    private static let longestAnswer = 64 << 10

    /// Asks the service at `path` to be succeeded by this one.
    ///
    /// - Returns: `nil` if nobody is there.
    /// - Throws: `refused`, or `alreadyRunning` if this user may not ask.
    static func ask(_ path: String) throws(RuntimeError) -> Heritage? {
        guard let connection = UnixSocket.connect(path) else {
            switch errno {
            case ENOENT, ECONNREFUSED: return nil
            case EACCES: throw RuntimeError(.refused, "--succeed \(path): this user may not use it; run as its owner")
            default: throw .system("--succeed \(path)")
            }
        }
        defer { close(connection) }
        var peer = baton_credentials()
        guard baton_peer_credentials(connection, &peer) == 0 else { throw .system("--succeed \(path)") }
        guard peer.uid == geteuid() else {
            throw RuntimeError(
                .refused,
                "--succeed \(path): the service there runs as user \(peer.uid), and this one as \(geteuid()); run both "
                    + "as the same user")
        }
        try send(.succeed(SuccessionRequest(control: path)), to: connection, path)
        return try receive(from: connection, path)
    }

    private static func send(
        _ request: ControlRequest, to connection: CInt, _ path: String
    ) throws(RuntimeError) {
        guard let text = try? JSONEncoder().encode(request) else { return }
        let line = Array(text) + [UInt8(ascii: "\n")]
        let result = line.withUnsafeBytes {
            baton_send_message(connection, $0.baseAddress, $0.count, nil, 0, nil, 0)
        }
        guard result == 0 else { throw closed(path) }
    }

    private static func receive(from connection: CInt, _ path: String) throws(RuntimeError) -> Heritage {
        var (text, descriptors): ([UInt8], [CInt]) = ([], [])
        var isTaken = false
        defer { if !isTaken { for descriptor in descriptors { close(descriptor) } } }
        let deadline = Deadline.after(patience)
        while !text.contains(UInt8(ascii: "\n")), text.count <= longestAnswer {
            try waitToRead(connection, until: deadline, path)
            guard case .message(let message) = KeeperChannel.receive(from: connection, waits: false) else {
                throw closed(path)
            }
            text += message.bytes
            descriptors += message.descriptors
        }
        let line = text.prefix { $0 != UInt8(ascii: "\n") }
        switch try? JSONDecoder().decode(ControlResponse.self, from: Data(line)) {
        case .granted(let takeover)? where descriptors.count == 2 && !takeover.contains("/"):
            isTaken = true
            return Heritage(
                channel: KeeperChannel(owning: descriptors[1]), link: descriptors[0], takeover: takeover)
        case .failed(let why)?:
            throw RuntimeError(.refused, "--succeed \(path): the running service goes on: \(why)")
        default: throw closed(path)
        }
    }

    /// Waits for something to read. Nothing has begun that a stop would have to end in order.
    private static func waitToRead(
        _ connection: CInt, until deadline: Deadline, _ path: String
    ) throws(RuntimeError) {
        while true {
            while case let number = baton_signals_take(), number > 0 {
                if Signals.stops(number) { ProcessExit.leave(128 + number) }
            }
            guard !deadline.hasPassed else {
                throw RuntimeError(
                    .noAnswer, "--succeed \(path): the running service has not answered; look at baton status")
            }
            var polled = [
                pollfd(fd: connection, events: Int16(POLLIN), revents: 0),
                pollfd(fd: baton_signals_descriptor(), events: Int16(POLLIN), revents: 0),
            ]
            _ = poll(&polled, nfds_t(polled.count), CInt(clamping: deadline.remainingMilliseconds))
            if polled[0].revents != 0 { return }
        }
    }

    private static func closed(_ path: String) -> RuntimeError {
        RuntimeError(
            .refused,
            "--succeed \(path): the running service has closed the connection: it is of a version that cannot be "
                + "succeeded, or has just ended; its log tells")
    }
}
