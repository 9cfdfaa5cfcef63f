import Foundation
import SelfSigned
import StockPeers

/// Programs in C, built as their users build them: with the headers and the shared library.
enum CProgram {
    /// A file of the repository.
    static func path(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent(name).path
    }

    static func build(_ source: String, in files: TemporaryFiles, _ arguments: [String] = []) throws -> String {
        try build(source, to: files.path("program"), in: files, arguments)
    }

    static func build(
        _ source: String, to program: String, in files: TemporaryFiles, _ arguments: [String] = []
    ) throws -> String {
        let library = try BuiltProgram.path("libBatonC.so")
        let folder = String(library[..<(library.lastIndex(of: "/") ?? library.startIndex)])
        let compiler = try PeerProcess(
            ["clang", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-I\(path("Sources/CBaton/include"))", path(source)]
                + ["-o", program, "-L\(folder)", "-lBatonC", "-lssl", "-lcrypto", "-Wl,-rpath,\(folder)"] + arguments)
        try compiler.expect(nil)
        guard compiler.status == 0 else { throw WireError("\(source) cannot be built: \(compiler.text)") }
        return program
    }

    /// A certificate and its key, as files.
    static func identity(in files: TemporaryFiles) throws -> [String] {
        [
            try files.write(Credentials.shared["p256"].certificatePEM, "cert.pem"),
            try files.write(Credentials.shared["p256"].privateKeyPEM, "key.pem"),
        ]
    }
}

/// `Examples/C/succession`, and the processes that follow it.
final class SuccessionServer {
    let port: Int
    private let process: PeerProcess
    private var id: Int32

    init(in files: TemporaryFiles) throws {
        let program = try CProgram.build("Examples/C/succession/server.c", in: files)
        process = try PeerProcess([program, "0"] + (try CProgram.identity(in: files)) + [files.path("socket")])
        id = process.processID
        port = try process.number(behind: "port ")
        try process.expectNext(" serves\n")
    }

    deinit { kill(id, SIGKILL) }

    /// Has the process replaced by a new one, which is waited for.
    func succeed() throws {
        kill(id, SIGUSR2)
        try process.expectNext(" serves\n")
        try process.expectNext("has handed over")
        try process.expectNext(" connections\n")
        let words = process.text.split(separator: "\n").last { $0.hasSuffix(" serves") }
        id = words.flatMap { $0.split(separator: " ").first }.flatMap { Int32($0) } ?? id
    }
}
