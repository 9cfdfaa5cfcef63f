import StockPeers

/// A real nginx with HTTP/2 without TLS: what a proxy that passes `h2` through has behind it.
final class NginxUpstream {
    private let files: TemporaryFiles
    private let process: PeerProcess
    let port: Int

    /// - Parameter echo: the port of a server of HTTP/1.1 to which `/echo` goes, without buffering.
    init(echo: Int? = nil, http2: Bool = true) throws {
        files = try TemporaryFiles()
        let route =
            echo.map {
                """
                location /echo {
                    proxy_pass http://127.0.0.1:\($0);
                    proxy_http_version 1.1;
                    proxy_request_buffering off;
                    proxy_buffering off;
                }
                """
            } ?? ""
        (process, port) = try Nginx.start(
            in: files, main: "worker_rlimit_nofile 20000;", events: "worker_connections 10000;",
            http: "client_max_body_size 0; keepalive_requests 100000000;"
        ) { port in
            """
            listen 127.0.0.1:\(port) backlog=4096\(http2 ? " http2" : "");
            \(route)
            location / { return 200 "hello\\n"; }
            """
        }
    }
}
