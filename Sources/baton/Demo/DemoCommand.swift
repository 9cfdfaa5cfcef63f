public import ArgumentParser
import Foundation
import TLSHandshake
public import TLSRecords

/// `baton demo`: one connection with a stock TLS client, handed from process to process while bytes flow both ways.
struct DemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Hand one live TLS connection from process to process while random bytes flow both ways.",
        discussion: """
            A stock client (openssl s_client or gnutls-cli) connects once. The connection then changes its owner among \
            three processes, at arbitrary points of the stream. The digests of what was sent and received must agree.
            """)

    @Option(help: "How often the connection changes its owner.")
    var moves = 100

    @Option(help: "Bytes to send each way (K, M and G are powers of 1,024).", transform: ByteSize.parse)
    var bytes = ByteSize(bytes: 64 << 20)

    @Option(help: "TLS version: 1.2 or 1.3.")
    var tls = TLSVersion.tls13

    @Option(help: "aes-128-gcm, aes-256-gcm, chacha20-poly1305, or a suite's name. Default: as negotiated.")
    var cipher: String?

    @Option(help: "The client: openssl or gnutls.")
    var peer = DemoPeer.Kind.openssl

    @Flag(help: "Print one JSON document.")
    var json = false

    func validate() throws {
        guard (1...1_000_000).contains(moves) else { throw ValidationError("--moves takes 1 to 1000000") }
        guard (1...DemoCommand.maxBytes).contains(bytes.bytes) else {
            throw ValidationError("--bytes takes 1 to \(ByteSize(bytes: DemoCommand.maxBytes))")
        }
        _ = try suites()
    }

    private static let maxBytes = 1 << 44

    func run() throws {
        Interruption.install()
        let run = DemoRun(
            moves: moves, bytes: bytes.bytes, version: tls, suites: try suites(), peer: peer, showsProgress: !json)
        let report = try run.report()
        let text = json ? try report.json() : report.table()
        do {
            try FileHandle.standardOutput.write(contentsOf: Data((text + "\n").utf8))
        } catch {
            throw Failure("cannot write the result: standard output is closed")
        }
        guard report.errors == 0 else { throw ExitCode(1) }
    }

    /// The suites to offer: all of the version, or the one that was asked for.
    private func suites() throws -> [CipherSuite] {
        let ofVersion = CipherSuite.allCases.filter { $0.version == tls }
        guard let cipher else { return ofVersion }
        let plain = cipher.uppercased().filter { $0.isLetter || $0.isNumber }
        let matching = ofVersion.filter { suite in
            let name = suite.description.uppercased().filter { $0.isLetter || $0.isNumber }
            return name == plain || name.contains("WITH\(plain)") || name.hasPrefix("TLS\(plain)")
        }
        guard !matching.isEmpty else {
            throw ValidationError(
                "no cipher suite of TLS \(tls) is called '\(cipher)': use aes-128-gcm, aes-256-gcm or chacha20-poly1305"
            )
        }
        return matching
    }
}

extension TLSVersion: ExpressibleByArgument {
    /// Reads `1.2` or `1.3`.
    public init?(argument: String) {
        switch argument {
        case "1.2": self = .tls12
        case "1.3": self = .tls13
        default: return nil
        }
    }

    /// As it is written on the command line.
    public var defaultValueDescription: String { description }
    /// What may be written.
    public static var allValueStrings: [String] { ["1.2", "1.3"] }
}
