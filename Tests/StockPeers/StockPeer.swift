import SelfSigned
package import TLSRecords

/// A stock TLS program that has been told which side to take, and how to talk through it.
package struct StockPeer {
    /// The programs, by the library beneath.
    package enum Kind: String, Sendable, CaseIterable {
        case openssl, gnutls, python
    }

    package let kind: Kind
    package let process: PeerProcess
    /// Whether it says back what it hears, and nothing else.
    package let isEcho: Bool

    /// A client that connects to `port` on the loopback address.
    ///
    /// - Parameters:
    ///   - arguments: more for the program.
    ///   - takesCommands: whether OpenSSL takes lines that begin with certain letters for commands; it talks more then.
    package static func client(
        _ kind: Kind, port: UInt16, _ version: TLSVersion, in files: TemporaryFiles, _ arguments: [String] = [],
        takesCommands: Bool = false
    ) throws -> StockPeer {
        let roots = try Credentials.shared.rootsFile(in: files)
        var command: [String]
        switch kind {
        case .openssl:
            command = [
                "openssl", "s_client", "-connect", "127.0.0.1:\(port)", version.opensslOption,
                "-CAfile", roots, "-servername", "localhost", "-verify_hostname", "localhost", "-verify_return_error",
            ]
            if !takesCommands { command.append("-quiet") }
        case .gnutls:
            command = [
                "gnutls-cli", "--x509cafile", roots, "--verify-hostname", "localhost", "--sni-hostname", "localhost",
                "--priority", version.gnutlsPriority, "-p", "\(port)", "127.0.0.1",
            ]
        case .python:
            command = ["python3", "-c", PythonPeer.client, version.pythonName, "\(port)", roots]
        }
        return StockPeer(kind: kind, process: try PeerProcess(command + arguments), isEcho: false)
    }

    /// A server that listens on the loopback address, and its port.
    ///
    /// - Parameters:
    ///   - certificate: the name of one of `Credentials`.
    ///   - arguments: more for the program.
    package static func server(
        _ kind: Kind, _ version: TLSVersion, certificate: String, in files: TemporaryFiles, _ arguments: [String] = []
    ) throws -> (peer: StockPeer, port: UInt16) {
        let issued = Credentials.shared[certificate]
        let certificate = try files.write(issued.certificatePEM, "server.pem")
        let key = try files.write(issued.privateKeyPEM, "server.key")
        let process: PeerProcess
        let port: Int
        switch kind {
        case .openssl:
            process = try PeerProcess(
                ["openssl", "s_server", "-accept", "127.0.0.1:0", version.opensslOption, "-cert", certificate]
                    + ["-key", key] + arguments)
            port = try process.number(behind: "ACCEPT 127.0.0.1:")
        case .gnutls:
            port = Int(try Wire.freePort())
            process = try PeerProcess(
                ["gnutls-serv", "--echo", "-p", "\(port)", "--x509certfile", certificate, "--x509keyfile", key]
                    + ["--priority", version.gnutlsPriority] + arguments)
            try process.expect("IPv4 0.0.0.0 port \(port)...done")
        case .python:
            process = try PeerProcess(
                ["python3", "-c", PythonPeer.server, version.pythonName, certificate, key] + arguments)
            port = try process.number(behind: "PORT ")
        }
        guard let port = UInt16(exactly: port) else { throw WireError("\(port) is no port") }
        return (StockPeer(kind: kind, process: process, isEcho: kind == .gnutls), port)
    }

    /// Lets it send a line. Lines to OpenSSL must not begin with a letter that commands it (B, C, K, k, P, Q, q, R, r, S).
    package func say(_ line: String) throws {
        try process.send(kind == .python ? "send \(line)\n" : "\(line)\n")
    }

    /// Waits until it has received `line`.
    package func hear(_ line: String) throws {
        if kind == .python { try process.send("line\n") }
        try process.expect("\(line)\n")
    }

    /// Says a line each way.
    package func converse(_ words: String, with session: inout Session) throws {
        try session.send("from here: \(words)\n")
        if isEcho { return try session.expect("from here: \(words)\n") }
        try hear("from here: \(words)")
        try say("from there: \(words)")
        try session.expect("from there: \(words)\n")
    }
}

extension TLSVersion {
    fileprivate var opensslOption: String { self == .tls13 ? "-tls1_3" : "-tls1_2" }
    fileprivate var gnutlsPriority: String { "NORMAL:-VERS-ALL:+VERS-TLS\(description)" }
    fileprivate var pythonName: String { self == .tls13 ? "TLSv1_3" : "TLSv1_2" }
}
