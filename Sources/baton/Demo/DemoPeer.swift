import ArgumentParser
import Foundation
import TLSRecords

/// The stock TLS client at the other end.
struct DemoPeer {
    enum Kind: String, ExpressibleByArgument, CaseIterable {
        case openssl
        case gnutls
    }

    let kind: Kind
    let version: TLSVersion
    /// The certificate to trust.
    let authorityPath: String

    /// As the report names it: program and version.
    func name() throws -> String {
        switch kind {
        case .openssl:
            let words = try output("openssl", ["version"]).split(separator: " ")
            return "openssl s_client \(words.dropFirst().first ?? "")"
        case .gnutls:
            let line = try output("gnutls-cli", ["--version"]).split(separator: "\n").first ?? ""
            return "gnutls-cli \(line.split(separator: " ").last ?? "")"
        }
    }

    /// A client that connects to `port` on the loopback address, verifies the certificate, and then carries its standard
    /// input and output.
    func process(port: UInt16) throws -> Process {
        let process = Process()
        switch kind {
        case .openssl:
            process.executableURL = try find("openssl")
            process.arguments = [
                "s_client", "-connect", "127.0.0.1:\(port)", "-servername", "localhost", "-CAfile", authorityPath,
                "-verify_hostname", "localhost", "-verify_return_error", "-quiet", "-nocommands",
                version == .tls13 ? "-tls1_3" : "-tls1_2",
            ]
        case .gnutls:
            process.executableURL = try find("gnutls-cli")
            let versions = version == .tls13 ? "+VERS-TLS1.3" : "+VERS-TLS1.2"
            process.arguments = [
                "--x509cafile", authorityPath, "--verify-hostname", "localhost", "--sni-hostname", "localhost",
                "--priority", "NORMAL:-VERS-ALL:\(versions)", "--logfile", "/dev/null", "--port", "\(port)",
                "127.0.0.1",
            ]
        }
        process.standardError = FileHandle.nullDevice
        return process
    }

    private func find(_ program: String) throws -> URL {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
        for folder in folders where FileManager.default.isExecutableFile(atPath: "\(folder)/\(program)") {
            return URL(fileURLWithPath: "\(folder)/\(program)")
        }
        throw Failure("\(program) is not installed; 'make demo' installs what the demo needs")
    }

    private func output(_ program: String, _ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = try find(program)
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: data, as: UTF8.self)
    }
}
