import StockPeers

/// A real nginx, whose files are all in one folder.
enum Nginx {
    /// Starts one that listens at a port of this machine.
    ///
    /// - Parameters:
    ///   - main, events, http: more directives of these contexts.
    ///   - server: the directives of its server, given that port.
    static func start(
        in files: TemporaryFiles, main: String = "", events: String = "", http: String = "",
        server: (Int) throws -> String
    ) throws -> (process: PeerProcess, port: Int) {
        let port = Int(try Wire.freePort())
        let path = try files.write(
            """
            daemon off;
            master_process off;
            pid nginx.pid;
            \(main)
            events { \(events) }
            http {
                access_log off;
                client_body_temp_path body;
                proxy_temp_path proxy;
                fastcgi_temp_path fastcgi;
                uwsgi_temp_path uwsgi;
                scgi_temp_path scgi;
                \(http)
                server {
                    \(try server(port))
                }
            }
            """, "nginx.\(port).conf")
        let process = try PeerProcess(["nginx", "-e", "stderr", "-p", files.path(""), "-c", path])
        try Listening.await(port, process)
        return (process, port)
    }
}
