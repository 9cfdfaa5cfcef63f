internal import Glibc

/// The sockets of the sample's sessions, as far as its bytes say, and what is connected to them.
package final class SampleSockets {
    package struct Pair {
        /// The session's.
        package var own: CInt
        package var peer: CInt
    }

    /// By slot.
    package private(set) var clients: [Int: Pair] = [:]
    package private(set) var upstreams: [Int: Pair] = [:]

    package init() throws(SocketFault) {
        for slot in SampleArena.Slot.all {
            clients[slot] = slot == SampleArena.Slot.note ? try SampleSockets.unixPair() : try SampleSockets.tcpPair()
            upstreams[slot] = try SampleSockets.tcpPair()
        }
        typealias Slot = SampleArena.Slot
        SampleSockets.advance(clients[Slot.tls13]!, read: 125, written: 300)
        SampleSockets.advance(upstreams[Slot.tls13]!, read: 50, written: 28)
        SampleSockets.advance(clients[Slot.tls12]!, read: 80, written: 0)
        SampleSockets.end(clients[Slot.tls12]!)
        SampleSockets.advance(upstreams[Slot.tls12]!, read: 0, written: 200)
        shutdown(upstreams[Slot.tls12]!.own, Int32(SHUT_WR))
        SampleSockets.advance(clients[Slot.plain]!, read: 30, written: 0)
        SampleSockets.advance(upstreams[Slot.plain]!, read: 0, written: 20)
        SampleSockets.advance(upstreams[Slot.note]!, read: 20, written: 40)
        // The kernel's count of what has been read of a Unix socket: 2³⁰ plus the negative of 40 modulo 2³⁰.
        var offset: CInt = 1 << 30 + ((1 << 30) - 40)
        setsockopt(clients[Slot.note]!.own, SOL_SOCKET, 42, &offset, 4)  // SO_PEEK_OFF
    }

    deinit {
        // Without TIME_WAIT: there may be many thousands.
        for pair in peers {
            var abort = linger(l_onoff: 1, l_linger: 0)
            setsockopt(pair.peer, SOL_SOCKET, SO_LINGER, &abort, socklen_t(MemoryLayout<linger>.size))
            close(pair.peer)
            close(pair.own)
        }
    }

    package var peers: [Pair] { Array(clients.values) + Array(upstreams.values) }

    /// Duplicates of a slot's sockets, as a new owner gets them.
    package func duplicates(_ slot: Int) -> (client: CInt, upstream: CInt)? {
        guard let client = clients[slot], let upstream = upstreams[slot] else { return nil }
        return (dup(client.own), dup(upstream.own))
    }

    // MARK: Sockets

    private static func tcpPair() throws(SocketFault) -> Pair {
        let (peer, own) = try TCPPair.make()
        return Pair(own: own, peer: peer)
    }

    private static func unixPair() throws(SocketFault) -> Pair {
        let (peer, own) = try UnixPair.make()
        return Pair(own: own, peer: peer)
    }

    /// Has the kernel count as many bytes.
    private static func advance(_ pair: Pair, read: Int, written: Int) {
        pass(from: pair.peer, to: pair.own, read)
        pass(from: pair.own, to: pair.peer, written)
    }

    private static func pass(from sender: CInt, to receiver: CInt, _ count: Int) {
        guard count > 0 else { return }
        var bytes = [UInt8](repeating: 0, count: count)
        precondition(send(sender, bytes, count, 0) == count)
        var left = count
        while left > 0 {
            wait(for: receiver)
            left -= max(0, recv(receiver, &bytes, left, 0))
        }
    }

    /// The peer ends, and that is read.
    private static func end(_ pair: Pair) {
        shutdown(pair.peer, Int32(SHUT_WR))
        wait(for: pair.own)
        var byte: UInt8 = 0
        precondition(recv(pair.own, &byte, 1, 0) == 0)
    }

    private static func wait(for descriptor: CInt) {
        var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        precondition(poll(&polled, 1, 30_000) == 1)
    }
}
