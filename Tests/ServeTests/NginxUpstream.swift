import StockPeers

/// A real nginx with HTTP/2 without TLS: what a proxy that passes `h2` through has behind it.
final class NginxUpstream {
    private let files: TemporaryFiles
    private let process: PeerProcess
    let port: Int

    /// - Parameter echo: the port of a server of HTTP/1.1 to which `/echo` goes, without buffering.
    init(echo: Int? = nil, http2: Bool = true) throws {
        files = try TemporaryFiles()
        port = Int(try Wire.freePort())
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
        let path = try files.write(
            """
            daemon off;
            master_process off;
            worker_rlimit_nofile 20000;
            pid nginx.pid;
            events { worker_connections 10000; }
            http {
                access_log off;
                client_max_body_size 0;
                client_body_temp_path body;
                proxy_temp_path proxy;
                fastcgi_temp_path fastcgi;
                uwsgi_temp_path uwsgi;
                scgi_temp_path scgi;
                keepalive_requests 100000000;
                server {
                    listen 127.0.0.1:\(port) backlog=4096\(http2 ? " http2" : "");
                    \(route)
                    location / { return 200 "hello\\n"; }
                }
            }
            """, "nginx.conf")
        process = try PeerProcess(["nginx", "-e", "stderr", "-p", files.path(""), "-c", path])
        try Listening.await(port, process)
    }
}
