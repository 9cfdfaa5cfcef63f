import StockPeers

/// A client without TLS and its upstream in one program. One of them ends its side; the other goes on speaking.
final class HalfClosingPeer {
    private let process: PeerProcess
    private var rounds = 0
    /// Where the upstream listens.
    let upstreamPort: Int

    /// - Parameter first: who ends its side, `client` or `upstream`.
    init(_ first: String) throws {
        process = try PeerProcess(["python3", "-c", Self.text, first])
        upstreamPort = try process.number(behind: "PORT ")
    }

    /// Connects to `port`, speaks both ways, and ends one side.
    func halfClose(port: Int) throws {
        try process.send("\(port)\n")
        try process.expect("HALF CLOSED")
    }

    /// Says something on the way that is still open.
    func sayOneWay() throws {
        rounds += 1
        try process.send("say\n")
        try process.expect("HEARD \(rounds)\n")
    }

    /// Ends the other side, and waits until that is heard.
    func closeOther() throws {
        try process.endInput()
        try process.expect("CLOSED")
    }

    private static let text = """
        import os, socket, sys
        listener = socket.create_server(('127.0.0.1', 0))
        print('PORT', listener.getsockname()[1], flush=True)
        client = socket.create_connection(('127.0.0.1', int(sys.stdin.readline())))
        upstream, _ = listener.accept()
        for s in client, upstream: s.settimeout(60)
        def say(one, other):
            piece = os.urandom(70000)
            one.sendall(piece)
            received = b''
            while len(received) < len(piece): received += other.recv(65536) or sys.exit('closed')
            if received != piece: sys.exit('DIFFERENT')
        say(client, upstream)
        say(upstream, client)
        ending, speaking = (client, upstream) if sys.argv[1] == 'client' else (upstream, client)
        ending.shutdown(socket.SHUT_WR)
        if speaking.recv(1): sys.exit('MORE')
        print('HALF CLOSED', flush=True)
        for number, _ in enumerate(sys.stdin):
            say(speaking, ending)
            print('HEARD', number + 1, flush=True)
        speaking.shutdown(socket.SHUT_WR)
        if ending.recv(1): sys.exit('MORE')
        print('CLOSED', flush=True)
        """
}
