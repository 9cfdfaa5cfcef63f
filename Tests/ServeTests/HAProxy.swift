import StockPeers

/// A real haproxy.
enum HAProxy {
    /// Starts one that listens at a port of this machine.
    ///
    /// - Parameter sections: what its configuration has behind the defaults, given that port.
    static func start(in files: TemporaryFiles, _ sections: (Int) throws -> String) throws
        -> (process: PeerProcess, port: Int)
    {
        let port = Int(try Wire.freePort())
        let path = try files.write(
            """
            global
              maxconn 100
            defaults
              mode http
              timeout connect 60s
              timeout client 60s
              timeout server 60s
            \(try sections(port))

            """, "haproxy.\(port).cfg")
        let process = try PeerProcess(["haproxy", "-db", "-f", path])
        try Listening.await(port, process)
        return (process, port)
    }
}
