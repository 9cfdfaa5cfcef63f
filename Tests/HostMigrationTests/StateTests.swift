import BatonCore
import Foundation
import Glibc
import HostLab
import HostMigration
import Testing

extension LabTests {
    /// Each brings the server's end of a connection into a state on A, moves it to B, and lets both ends finish there.
    @Suite("A connection moves in the state")
    struct StateTests {
        static let families: [Shape] = [.plain4, .plain6]

        @Test("ESTABLISHED, with bytes that the server has not read", arguments: families)
        func unread(_ shape: Shape) async throws {
            let move = try await Move(shape) { server, client in
                try Sockets.writeAll(client, Bulk.bytes(60_000, seed: 1))
                try Sockets.wait("60,000 bytes") { Sockets.unread(server) == 60_000 }
            }
            #expect(Sockets.state(move.arrived) == .established)
            #expect(try Sockets.readExactly(move.arrived, 60_000) == Bulk.bytes(60_000, seed: 1))
            try move.exchange()
            try await move.end()
        }

        @Test("ESTABLISHED, with megabytes for a client that does not read", arguments: families)
        func clientDoesNotRead(_ shape: Shape) async throws {
            let move = try await Move(shape, stuffed: true)
            let waiting = move.stuffed
            #expect(Sockets.state(move.arrived) == .established)
            shutdown(move.arrived, Int32(SHUT_WR))
            #expect(try move.drain() == Bulk.bytes(waiting, seed: 1))
            try await move.end()
        }

        @Test(
            "ESTABLISHED, with a window that is open by less than a segment, into which the old host probes",
            arguments: families)
        func windowProbe(_ shape: Shape) async throws {
            var windows: [UInt32] = []
            // Where the window ends against the segments is chance, for a buffer of one size. It is large enough for the window to
            // be scaled: one that is not ends with a whole segment.
            while windows.count < 8 {
                guard let window = try await probed(shape, receiveBuffer: 100_000 + 1_700 * Int32(windows.count)) else {
                    return
                }
                windows.append(window)
            }
            Issue.record("no window was open by less than a segment: \(windows)")
        }

        /// - Returns: `nil` if the client's window was such a one with nothing in flight; then all that the server had written has
        ///   come. Otherwise the window.
        private func probed(_ shape: Shape, receiveBuffer: Int32) async throws -> UInt32? {
            let pair = try await Pair(shape, clientReceiveBuffer: receiveBuffer)
            defer { close(pair.client) }
            let (client, server) = (pair.client, pair.server)
            let (window, thawed) = try await Lab.shared.run(in: .a) { () -> (UInt32, Int32?) in
                // Whole segments alone, as a connection sends them that is paced or whose congestion window is small.
                Sockets.set(server, Int32(IPPROTO_TCP), TCP_CORK, 1)
                // All at once, so that the window is full before the persist timer has fired, 200 ms later.
                Sockets.set(server, SOL_SOCKET, SO_SNDBUF, 1 << 20)
                try Sockets.writeAll(server, Bulk.bytes(Self.probedCount, seed: 1))
                try Sockets.wait("the persist timer") { Self.runsPersistTimer(shape.family) }
                let received = Sockets.unread(client)
                let socket = try MovableSocket(examining: server)
                let frozen = try socket.freeze()
                guard frozen.window.send > 0, frozen.window.send < frozen.negotiated.mss else {
                    socket.closeSilently()
                    return (frozen.window.send, nil)
                }
                // The persist timer fires behind every check that the old host could make.
                try Sockets.wait("the window probe") { Sockets.unread(client) > received }
                let isUnchanged = socket.isUnchanged(since: frozen)
                #expect(!isUnchanged)
                socket.closeSilently()
                return (0, try ThawedSocket(restoring: frozen).activate())
            }
            guard let arrived = thawed else { return window }
            shutdown(arrived, Int32(SHUT_WR))
            var bytes: [UInt8] = []
            try Sockets.readToEnd(client) { bytes += $0 }
            #expect(bytes == Bulk.bytes(Self.probedCount, seed: 1))
            close(arrived)
            return nil
        }

        private static let probedCount = 400_000

        /// Whether an established connection of the calling thread's namespace has nothing in flight and something to send: its
        /// timer, the sixth word of its line, is that of window probes.
        private static func runsPersistTimer(_ family: IPAddress.Family) -> Bool {
            let path = "/proc/thread-self/net/" + (family == .ipv4 ? "tcp" : "tcp6")
            let table = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
            return table.split(separator: "\n").contains { line in
                let words = line.split(separator: " ")
                return words.count > 5 && words[3] == "01" && words[5].hasPrefix("04:")
            }
        }

        @Test("ESTABLISHED, with an acknowledgement that the kernel delays", arguments: families)
        func delayedAcknowledgement(_ shape: Shape) async throws {
            let pair = try await Pair(shape)
            defer { close(pair.client) }
            // In the midst of a conversation the kernel waits for an answer to send it with.
            for round in 0..<20 {
                try Sockets.writeAll(pair.client, [UInt8(round)])
                _ = try Sockets.readExactly(pair.server, 1)
                try Sockets.writeAll(pair.server, [UInt8(round)])
                _ = try Sockets.readExactly(pair.client, 1)
            }
            try Sockets.writeAll(pair.client, [1])
            #expect(try Sockets.readExactly(pair.server, 1) == [1])
            let (client, server) = (pair.client, pair.server)
            let before = try await Lab.shared.run(in: .client) { try TCPCounters.read() }
            let thawed = try await Lab.shared.run(in: .a) {
                let socket = try MovableSocket(examining: server)
                let frozen = try socket.freeze()
                // However long the move takes, nothing that the old host still sends may be later than what follows.
                try Sockets.wait("the acknowledgement") { Sockets.information(client)?.tcpi_unacked == 0 }
                socket.closeSilently()
                return try ThawedSocket(restoring: frozen).activate()
            }
            defer { close(thawed) }
            try Sockets.writeAll(thawed, [2])
            #expect(try Sockets.readExactly(client, 1) == [2])
            try Sockets.wait("the acknowledgement") { Sockets.information(thawed)?.tcpi_unacked == 0 }
            let counted = try await Lab.shared.run(in: .client) { try TCPCounters.read() } - before
            #expect(counted.outdated == 0)
        }

        @Test("CLOSE_WAIT", arguments: families)
        func closeWait(_ shape: Shape) async throws {
            let move = try await Move(shape) { server, client in
                try Sockets.writeAll(client, Bulk.bytes(100_000, seed: 1))
                shutdown(client, Int32(SHUT_WR))
                try Sockets.wait(server, until: .closeWait)
            }
            try Sockets.wait(move.arrived, until: .closeWait)
            #expect(try Sockets.readExactly(move.arrived, 100_000) == Bulk.bytes(100_000, seed: 1))
            try Sockets.readToEnd(move.arrived) { _ in Issue.record("more bytes than were sent") }
            try Sockets.writeAll(move.arrived, Bulk.bytes(50_000, seed: 2))
            shutdown(move.arrived, Int32(SHUT_WR))
            #expect(try move.drain() == Bulk.bytes(50_000, seed: 2))
            try await move.end()
        }

        @Test("CLOSE_WAIT, with the end already read", arguments: families)
        func closeWaitRead(_ shape: Shape) async throws {
            let move = try await Move(shape) { server, client in
                try Sockets.writeAll(client, [1, 2, 3])
                shutdown(client, Int32(SHUT_WR))
                #expect(try Sockets.readExactly(server, 3) == [1, 2, 3])
                try Sockets.readToEnd(server) { _ in }
            }
            try Sockets.wait(move.arrived, until: .closeWait)
            try Sockets.writeAll(move.arrived, [4, 5])
            shutdown(move.arrived, Int32(SHUT_WR))
            #expect(try move.drain() == [4, 5])
            try await move.end()
        }

        @Test("FIN_WAIT1, its FIN behind megabytes", arguments: families)
        func finWait1(_ shape: Shape) async throws {
            let move = try await Move(shape, stuffed: true) { server, _ in
                shutdown(server, Int32(SHUT_WR))
                try Sockets.wait(server, until: .finWait1)
            }
            let waiting = move.stuffed
            #expect(Sockets.state(move.arrived) == .finWait1)
            #expect(try move.drain() == Bulk.bytes(waiting, seed: 1))
            try Sockets.writeAll(move.client, [9])
            #expect(try Sockets.readExactly(move.arrived, 1) == [9])
            try await move.end()
        }

        @Test("FIN_WAIT1, with everything in flight and nothing acknowledged", arguments: families)
        func inFlight(_ shape: Shape) async throws {
            let mover = try await Mover.shared()
            let move = try await Move(shape) { server, client in
                let flow = try MovableSocket(examining: server).flow
                try mover.steering(.a).hold([flow])
                try Sockets.writeAll(server, Bulk.bytes(10_000, seed: 1))
                shutdown(server, Int32(SHUT_WR))
                // All of it has arrived; no acknowledgement gets back.
                #expect(try Sockets.readExactly(client, 10_000) == Bulk.bytes(10_000, seed: 1))
                try Sockets.readToEnd(client) { _ in }
                #expect(Sockets.state(server) == .finWait1)
            }
            // The acknowledgement that was held is released to B.
            try Sockets.wait(move.arrived, until: .finWait2)
            try Sockets.writeAll(move.client, [5])
            #expect(try Sockets.readExactly(move.arrived, 1) == [5])
            try await move.end()
        }

        @Test("FIN_WAIT2", arguments: families)
        func finWait2(_ shape: Shape) async throws {
            let move = try await Move(shape) { server, client in
                try Sockets.writeAll(server, Bulk.bytes(1000, seed: 1))
                shutdown(server, Int32(SHUT_WR))
                try Sockets.wait(server, until: .finWait2)
            }
            try Sockets.wait(move.arrived, until: .finWait2)
            #expect(try move.drain() == Bulk.bytes(1000, seed: 1))
            try Sockets.writeAll(move.client, Bulk.bytes(70_000, seed: 3))
            shutdown(move.client, Int32(SHUT_WR))
            #expect(try Sockets.readExactly(move.arrived, 70_000) == Bulk.bytes(70_000, seed: 3))
            try await move.end()
        }

        @Test("CLOSING", arguments: families)
        func closing(_ shape: Shape) async throws {
            let move = try await Move(shape, stuffed: true) { server, client in
                shutdown(server, Int32(SHUT_WR))
                try Sockets.writeAll(client, [7, 8])
                shutdown(client, Int32(SHUT_WR))
                try Sockets.wait(server, until: .closing)
            }
            let waiting = move.stuffed
            try Sockets.wait(move.arrived, until: .closing)
            #expect(try Sockets.readExactly(move.arrived, 2) == [7, 8])
            #expect(try move.drain() == Bulk.bytes(waiting, seed: 1))
            try await move.end()
        }

        @Test("LAST_ACK", arguments: families)
        func lastAck(_ shape: Shape) async throws {
            let move = try await Move(shape, stuffed: true) { server, client in
                shutdown(client, Int32(SHUT_WR))
                try Sockets.wait(server, until: .closeWait)
                shutdown(server, Int32(SHUT_WR))
                try Sockets.wait(server, until: .lastAck)
            }
            let waiting = move.stuffed
            try Sockets.wait(move.arrived, until: .lastAck)
            #expect(try move.drain() == Bulk.bytes(waiting, seed: 1))
            try await move.end()
        }
    }
}

/// A connection that was brought into a state on A and has moved to B.
private struct Move: Sendable {
    let client: Int32
    let arrived: Int32
    /// Bytes that the server had written and the client not read.
    let stuffed: Int
    private let before: TCPCounters

    init(
        _ shape: Shape, stuffed isStuffed: Bool = false,
        prepare: @escaping @Sendable (_ server: Int32, _ client: Int32) throws -> Void = { _, _ in }
    ) async throws {
        let lab = Lab.shared
        let mover = try await Mover.shared()
        before = try await lab.run(in: .client) { try TCPCounters.read() }
        let pair = try await Pair(shape)
        stuffed = try await lab.run(in: .a) {
            let count = isStuffed ? try Move.stuff(pair.server) : 0
            try prepare(pair.server, pair.client)
            return count
        }
        client = pair.client
        arrived = try await mover.moveOne(pair.server, from: .a)
    }

    /// Writes until nothing more fits, which is when the client's window is closed and the send buffer full.
    fileprivate static func stuff(_ server: Int32) throws -> Int {
        let stream = Bulk.bytes(16 << 20, seed: 1)
        var count = 0
        while true {
            let sent = stream.withUnsafeBytes {
                send(server, $0.baseAddress! + count, min(65536, stream.count - count), Int32(MSG_DONTWAIT))
            }
            if sent > 0 {
                count += sent
                continue
            }
            // What is on its way may make room once more: full is what stays full while nothing moves.
            var request = pollfd(fd: server, events: Int16(POLLOUT), revents: 0)
            if poll(&request, 1, 50) == 0 { return count }
        }
    }

    /// A byte each way.
    func exchange() throws {
        try Sockets.writeAll(client, [1])
        #expect(try Sockets.readExactly(arrived, 1) == [1])
        try Sockets.writeAll(arrived, [2])
        #expect(try Sockets.readExactly(client, 1) == [2])
    }

    /// What the client receives, to the end.
    func drain() throws -> [UInt8] {
        var bytes: [UInt8] = []
        try Sockets.readToEnd(client) { bytes += $0 }
        return bytes
    }

    /// Closes both ends in order, and looks for resets.
    func end() async throws {
        shutdown(client, Int32(SHUT_WR))
        shutdown(arrived, Int32(SHUT_WR))
        try Sockets.readToEnd(arrived) { _ in Issue.record("the server got more bytes than were sent") }
        try Sockets.readToEnd(client) { _ in Issue.record("the client got more bytes than were sent") }
        close(client)
        close(arrived)
        let counted = try await Lab.shared.run(in: .client) { try TCPCounters.read() } - before
        #expect(counted.resets == 0)
    }
}
