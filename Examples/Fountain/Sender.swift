import Glibc

/// The event loop: one socket, a session for each peer.
struct Sender {
    private static let maxSessions = 1_000
    /// So that one machine does not take the places of all, nor many times `--rate`.
    private static let maxOfOneAddress = 64
    /// Milliseconds between two looks at the sessions, if nothing comes.
    private static let tick: CInt = 5
    /// Packets to one peer at a time.
    private static let burst = 16

    private(set) var sessions: [SessionKey: Session]
    let cookies: Cookies
    let socket: DatagramSocket
    private let file: SourceFile
    private let rate: Int
    private var buffer = [UInt8](repeating: 0, count: 2_048)

    init(
        _ file: SourceFile, _ socket: DatagramSocket, _ sessions: [SessionKey: Session] = [:],
        _ cookies: Cookies = Cookies(), rate: Int
    ) {
        self.file = file
        self.socket = socket
        self.sessions = sessions
        self.cookies = cookies
        self.rate = rate
    }

    /// Serves until `other` can be read.
    mutating func run(until other: CInt) throws {
        while true {
            var polled = [
                pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: other, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&polled, 2, sessions.isEmpty ? -1 : Self.tick) >= 0 || errno == EINTR else {
                throw DatagramSocket.Failure(number: errno)
            }
            if polled[1].revents != 0 { return }
            let now = Self.now
            // Bounded, so that a flood of requests leaves time for packets.
            for _ in 0..<256 {
                guard let (bytes, peer) = socket.receive(into: &buffer) else { break }
                if let message = Message(bytes) { handle(message, peer, now) }
            }
            for key in sessions.keys { pump(key, now) }
            sessions = sessions.filter { !$1.isOver(now: now) }
        }
    }

    private mutating func handle(_ message: Message, _ peer: DatagramSocket.Peer, _ now: UInt64) {
        switch message {
        case .request(let number):
            let key = SessionKey(peer: peer, number: number)
            guard sessions[key] == nil else { return }
            let cookie = cookies.cookie(for: key, now: now)
            socket.send(Message.offer(number, cookie: cookie, length: file.length), to: peer)
        case .report(let number, let report):
            let key = SessionKey(peer: peer, number: number)
            if sessions[key] == nil, report.isFirst, hasRoom(for: peer),
                cookies.isGood(report.cookie, for: key, now: now)
            {
                sessions[key] = Session(cookie: report.cookie, now: now)
            }
            sessions[key]?.note(report, now: now)
        case .stop(let number, let cookie):
            let key = SessionKey(peer: peer, number: number)
            if sessions[key]?.cookie == cookie { sessions[key] = nil }
        }
    }

    private func hasRoom(for peer: DatagramSocket.Peer) -> Bool {
        sessions.count < Self.maxSessions && sessions.keys.count { $0.peer.isBeside(peer) } < Self.maxOfOneAddress
    }

    private mutating func pump(_ key: SessionKey, _ now: UInt64) {
        for _ in 0..<Self.burst {
            let packet = sessions[key]?.packet(
                of: file.generations.count, rate: rate, size: SourceFile.symbolSize, now: now)
            guard let packet else { return }
            let content = file.generations[Int(packet.generation)].packet(seed: packet.seed)
            let bytes = Message.packet(
                key.number, number: packet.number, generation: packet.generation, seed: packet.seed, content)
            if !socket.send(bytes, to: key.peer) { return }
        }
    }

    /// CLOCK_MONOTONIC in nanoseconds: the same for all processes of the machine.
    private static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

/// Which peer, and which of its transfers.
struct SessionKey: Codable, Hashable {
    let peer: DatagramSocket.Peer
    let number: UInt64
}
