import Foundation
import Glibc

/// A running TLS proxy in front of one upstream, on a processor of its own.
final class Proxy {
    enum Kind: String, CaseIterable {
        case baton, haproxy, hitch, nginx

        static let rivals: [Kind] = [.haproxy, .hitch, .nginx]
    }

    let kind: Kind
    let port: Int
    let program: Program
    let control: String

    /// The processor of what is measured; load and upstream are on the first.
    static let core = 1

    /// Starts one worker or thread, which offers TLS 1.3 with AES-128-GCM only.
    ///
    /// - Parameters:
    ///   - upstream: a port, or `nil` for Baton's own echo.
    ///   - isPinned: whether it has that one processor; else it has all, and room for more descriptors.
    init(_ kind: Kind, upstream: Int?, isPinned: Bool = true, in files: ProxyFiles) throws {
        self.kind = kind
        port = try freePort()
        control = files.path("\(port).sock")
        let core = sysconf(Int32(_SC_NPROCESSORS_ONLN)) > 1 ? Proxy.core : nil
        let backend = "127.0.0.1:\(upstream ?? 0)"
        let arguments: [String]
        switch kind {
        case .baton:
            arguments = [
                ProxyFiles.baton, "serve", "--listen", "127.0.0.1:\(port)", "--workers", "1", "--control", control,
                "--cert", files.certificate, "--key", files.key,
                "--listeners.default.ciphers", "TLS_AES_128_GCM_SHA256", "--listeners.default.tls-versions", "1.3",
                "--upstream", upstream == nil ? "echo" : backend,
            ]
        case .haproxy:
            let path = try files.write(
                """
                global
                    nbthread 1
                    maxconn 9000
                    ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
                defaults
                    mode tcp
                    timeout connect 5s
                    timeout client 1h
                    timeout server 1h
                frontend tls
                    bind 127.0.0.1:\(port) ssl crt \(files.bundle) ssl-min-ver TLSv1.3
                    default_backend plain
                backend plain
                    server one \(backend)

                """, "\(port).cfg")
            arguments = ["haproxy", "-db", "-f", path]
        case .hitch:
            let path = try files.write(
                """
                frontend = "[127.0.0.1]:\(port)"
                backend = "[127.0.0.1]:\(upstream ?? 0)"
                pem-file = "\(files.bundle)"
                workers = 1
                tls-protos = TLSv1.3
                ciphersuites = "TLS_AES_128_GCM_SHA256"
                daemon = off
                ocsp-dir = ""
                \(geteuid() == 0 ? "user = \"nobody\"" : "")

                """, "\(port).conf")
            arguments = ["hitch", "--config=\(path)"]
        case .nginx:
            let path = try files.write(
                """
                load_module /usr/lib/nginx/modules/ngx_stream_module.so;
                daemon off;
                worker_processes 1;
                pid \(port).pid;
                worker_rlimit_nofile 20000;
                events { worker_connections 10000; }
                stream {
                    server {
                        listen 127.0.0.1:\(port) ssl backlog=4096;
                        ssl_certificate \(files.certificate);
                        ssl_certificate_key \(files.key);
                        ssl_protocols TLSv1.3;
                        ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
                        proxy_timeout 1h;
                        proxy_pass \(backend);
                    }
                }

                """, "\(port).nginx.conf")
            arguments = ["nginx", "-e", "stderr", "-p", files.path(""), "-c", path]
        }
        program = try isPinned ? Program(arguments, core: core) : Program(Proxy.roomy + arguments)
        try awaitListener(port, "\(kind)")
        // hitch binds each of its workers to a processor of its own choice.
        if isPinned, let core { try program.bind(to: core) }
    }

    /// What a process needs for the sockets of ten thousand proxied connections.
    static let manyDescriptors = 100_000

    /// Descriptors that a process may have here.
    static let maxDescriptors: Int = isRoomy ? manyDescriptors : Int(hardLimit)

    /// Runs a program with room for many descriptors, where that is allowed (CAP_SYS_RESOURCE).
    static let roomy = isRoomy ? ["prlimit", "--nofile=\(manyDescriptors):\(manyDescriptors)"] : []

    private static let isRoomy =
        (try? Program(["prlimit", "--nofile=\(manyDescriptors):\(manyDescriptors)", "true"], isHeard: true).succeeded())
        ?? false

    private static var hardLimit: UInt {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return UInt(limit.rlim_max)
    }
}

/// Certificates, configurations and the upstream of the proxies.
final class ProxyFiles {
    /// `make bench` builds it.
    static var baton: String { ProcessInfo.processInfo.environment["BATON"] ?? "../.build/release/baton" }

    private let folder = NSTemporaryDirectory() + "baton-bench-" + UUID().uuidString
    var certificate: String { path("certificate.pem") }
    var key: String { path("key.pem") }
    /// Both in one file.
    var bundle: String { path("bundle.pem") }

    init() throws {
        guard access(ProxyFiles.baton, X_OK) == 0 else {
            throw BenchmarkError("\(ProxyFiles.baton) is not there; build it, or name another in BATON")
        }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let maker = try Program(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
                + ["-subj", "/CN=localhost", "-days", "7", "-keyout", key, "-out", certificate], isHeard: true)
        _ = try maker.text()
        let both =
            try String(contentsOfFile: certificate, encoding: .utf8) + String(contentsOfFile: key, encoding: .utf8)
        _ = try write(both, "bundle.pem")
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func path(_ name: String) -> String { folder + "/" + name }

    func write(_ text: String, _ name: String) throws -> String {
        try text.write(toFile: path(name), atomically: true, encoding: .utf8)
        return path(name)
    }

    /// An nginx that answers `/` with six bytes and `/bulk` with 8 MiB.
    func upstream() throws -> (program: Program, port: Int) {
        let port = try freePort()
        try Data(count: 8 << 20).write(to: URL(fileURLWithPath: path("bulk")))
        let configuration = try write(
            """
            user root;
            daemon off;
            worker_processes 1;
            pid nginx.pid;
            worker_rlimit_nofile 20000;
            events { worker_connections 10000; }
            http {
                access_log off;
                sendfile on;
                client_header_timeout 1h;
                keepalive_timeout 1h;
                keepalive_requests 100000000;
                client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
                uwsgi_temp_path uwsgi; scgi_temp_path scgi;
                server {
                    listen 127.0.0.1:\(port) backlog=4096;
                    root \(folder);
                    location = / { return 200 "hello\\n"; }
                }
            }
            """, "nginx.conf")
        let program = try Program(["nginx", "-e", "stderr", "-p", folder, "-c", configuration], core: 0)
        try awaitListener(port, "nginx")
        return (program, port)
    }
}

private func awaitListener(_ port: Int, _ name: String) throws {
    for _ in 0..<500 {
        let descriptor = try tcpSocket()
        defer { close(descriptor) }
        if withLoopback(port, { connect(descriptor, $0, $1) }) == 0 { return }
        usleep(20_000)
    }
    throw BenchmarkError("\(name) does not listen; scripts/bootstrap.sh bench installs what is needed")
}

private func freePort() throws -> Int {
    let descriptor = try tcpSocket()
    defer { close(descriptor) }
    guard withLoopback(0, { bind(descriptor, $0, $1) }) == 0 else { throw BenchmarkError("no port is free") }
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    _ = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
    }
    return Int(UInt16(bigEndian: address.sin_port))
}

private func tcpSocket() throws -> CInt {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw BenchmarkError("no socket: errno \(errno)") }
    return descriptor
}

private func withLoopback<R>(_ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
}
