import Foundation
import Glibc

/// Two hosts that run `baton serve` in network namespaces (`scripts/lab.sh`), and a third for clients.
final class DrainLab {
    enum Role: String {
        case client, a, b

        /// On the link that the three share.
        var address: String {
            switch self {
            case .client: "192.0.2.1"
            case .a: "192.0.2.2"
            case .b: "192.0.2.3"
            }
        }

        /// In the certificate for the other host.
        var name: String { "\(rawValue).example" }
    }

    /// Where clients find whichever host is in service: TLS at port 4443, plain TCP at 4444, both an echo.
    static let serviceAddress = "192.0.2.100"

    /// Why there can be none; nil if there can.
    static let obstacle: String? = {
        guard geteuid() == 0 else { return "needs root" }
        guard access("/dev/net/tun", R_OK | W_OK) == 0 else { return "needs /dev/net/tun" }
        let isAllowed = try? Program(undisturbed + ["unshare", "-n", "true"], isHeard: true).succeeded()
        return isAllowed == true ? nil : "needs CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_SYS_NICE"
    }()

    /// Everything in the lab has real-time priority: a pause is so short that on a busy machine one would measure for how
    /// long others keep the processors.
    static let undisturbed = ["chrt", "-r", "10"]

    private let files: ProxyFiles
    private let prefix = "baton-bench\(getpid())-"
    private var hosts: [Role: Program] = [:]

    init() throws {
        files = try ProxyFiles()
        guard try script("up") else { throw BenchmarkError("scripts/lab.sh up failed") }
        try start(.a, other: .b)
        try start(.b, other: .a)
    }

    deinit {
        hosts = [:]
        _ = try? script("down")
    }

    /// How a program is started in a namespace.
    func inside(_ role: Role) -> [String] {
        DrainLab.undisturbed + ["ip", "netns", "exec", prefix + role.rawValue]
    }

    struct Report: Decodable {
        struct Pause: Decodable {
            var p50, max: Double
        }

        var moved: Int
        var remaining: Int
        var stayed: [String: Int]
        var duration_ms: Double
        var pause_us: Pause
    }

    /// Drains A to B, or B to A.
    ///
    /// - Throws: if not so many connections have moved, and nothing else.
    func drain(there: Bool, expecting count: Int) throws -> Report {
        let control = control(there ? .a : .b)
        let text = try Program(
            DrainLab.undisturbed + [ProxyFiles.baton, "drain", "--control", control, "--to", "other", "--json"],
            isHeard: true
        ).text()
        guard let report = try? JSONDecoder().decode(Report.self, from: Data(text.utf8)), report.moved == count,
            report.remaining == 0, report.stayed.isEmpty
        else { throw BenchmarkError("not all of \(count) connections moved: \(text)") }
        return report
    }

    private func control(_ role: Role) -> String { files.path("\(role).sock") }

    private func start(_ role: Role, other: Role) throws {
        let (certificate, key) = try files.issue(role.name)
        let configuration = try files.write(
            """
            control: \(control(role))
            workers: 2
            listeners:
              tls:
                address: :4443
                tls-versions: 1.3
                ciphers: TLS_AES_128_GCM_SHA256
              plain:
                address: :4444
                tls: false
            routes:
              all:
                target: echo
            migration:
              listen: \(role.address):9440
              interface: [e0, e1]
              addresses: [\(DrainLab.serviceAddress)]
              certificate: \(certificate)
              key: \(key)
              ca: \(files.certificate)
            peers:
              other:
                address: \(other.address):9440
                name: \(other.name)

            """, "\(role).yaml")
        let arguments = [ProxyFiles.baton, "serve", "--config", configuration]
        hosts[role] = try Program(inside(role) + arguments)
        // It answers as soon as it serves.
        for _ in 0..<500 {
            let status = ["status", "--control", control(role), "--json"]
            if try Program([ProxyFiles.baton] + status, isHeard: true).succeeded() { return }
            usleep(20_000)
        }
        throw BenchmarkError("baton does not serve in a namespace; \(arguments.joined(separator: " ")) tells why")
    }

    private func script(_ command: String) throws -> Bool {
        try Program(["BATON_LAB_PREFIX=\(prefix)", "bash", "../scripts/lab.sh", command], isHeard: true).succeeded()
    }
}

extension ProxyFiles {
    /// A certificate with this name, signed with the other one's key, and its own.
    fileprivate func issue(_ name: String) throws -> (certificate: String, key: String) {
        let (issued, own) = (path("\(name).pem"), path("\(name).key"))
        let arguments =
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
            + ["-subj", "/CN=\(name)", "-addext", "subjectAltName=DNS:\(name)", "-days", "7"]
            + ["-CA", certificate, "-CAkey", key, "-keyout", own, "-out", issued]
        guard try Program(arguments, isHeard: true).succeeded() else {
            throw BenchmarkError("openssl made no certificate for \(name)")
        }
        return (issued, own)
    }
}
