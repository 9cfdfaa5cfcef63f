import StockPeers

/// Waits for programs that do not say when they listen.
enum Listening {
    static func await(_ port: Int, _ process: PeerProcess) throws {
        let waiting = try PeerProcess(["python3", "-c", text, "\(port)"])
        try waiting.expect("LISTENING")
        withExtendedLifetime(process) {}
    }

    private static let text = """
        import socket, sys
        while True:
            try:
                socket.create_connection(('127.0.0.1', int(sys.argv[1]))).close()
                break
            except ConnectionRefusedError:
                pass
        print('LISTENING', flush=True)
        """
}
