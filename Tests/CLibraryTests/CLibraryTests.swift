import Foundation
import SelfSigned
import StockPeers
import Testing

@Suite("The C library", .timeLimit(.minutes(5)))
struct CLibraryTests {
    @Test(
        "connections are taken from OpenSSL, sealed and opened, and every wrong use has its code",
        arguments: ["1.2", "1.3"])
    func memory(version: String) throws {
        let files = try TemporaryFiles()
        let program = try CProgram.build("Tests/CLibraryTests/Programs/memory.c", in: files)
        let run = try PeerProcess([program] + (try CProgram.identity(in: files)) + [version])
        try run.expect(nil)
        #expect(run.text == "all as promised\n")
        #expect(run.status == 0)
    }

    @Test("the library has the program's version")
    func version() throws {
        let program = try PeerProcess([try BuiltProgram.path("baton"), "--version"])
        try program.expect(nil)
        let header = try String(contentsOfFile: CProgram.path("Sources/CBaton/include/baton.h"), encoding: .utf8)
        let line = header.split(separator: "\n").first { $0.hasPrefix("#define BATON_VERSION ") }
        #expect(line == "#define BATON_VERSION \"\(program.text.dropLast())\"")
    }

    @Test("openssl s_client goes on through three processes of an epoll server in C")
    func succession() throws {
        let files = try TemporaryFiles()
        let server = try SuccessionServer(in: files)
        let client = try PeerProcess(
            ["openssl", "s_client", "-connect", "127.0.0.1:\(server.port)", "-quiet", "-nocommands"])
        try client.send("before\n")
        try client.expect("before\n")
        for round in 1...3 {
            try server.succeed()
            try client.send("after \(round)\n")
            try client.expect("after \(round)\n")
        }
    }

    @Test("a thousand busy clients of an epoll server in C get every byte through three processes")
    func crowd() throws {
        let files = try TemporaryFiles()
        let server = try SuccessionServer(in: files)
        let crowd = try PeerProcess(
            ["python3", CProgram.path("Tests/CLibraryTests/Programs/crowd.py"), "\(server.port)", "1000"])
        try crowd.expect("connected")
        for _ in 1...3 {
            try crowd.expectNext("all have moved on")
            try server.succeed()
        }
        try crowd.expectNext("all have moved on")
        try crowd.send("end\n")
        try crowd.expect(nil)
        #expect(crowd.text.contains("1000 whole"), "\(crowd.text.suffix(500))")
        #expect(crowd.status == 0)
    }
}
