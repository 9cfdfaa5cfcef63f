import Foundation
import Testing

@testable import BatonServer

@Suite("What an upgrade starts")
struct StartedProgramTests {
    private let folder = NSTemporaryDirectory() + "baton-started-" + UUID().uuidString

    private func place(_ path: String, mode: Int = 0o755) throws {
        let file = URL(fileURLWithPath: "\(folder)/\(path)")
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data("#!/bin/sh\n".utf8).write(to: file)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file.path)
    }

    private func remove() { try? FileManager.default.removeItem(atPath: folder) }

    @Test("a path stays as it was written, made absolute, with no link followed")
    func paths() {
        func name(_ argument: String, in directory: String = "/srv/current") -> String {
            StartedProgram(argument, in: directory, path: nil).name
        }
        #expect(name("/opt/current/baton") == "/opt/current/baton")
        #expect(name("./baton") == "/srv/current/baton")
        #expect(name("bin/baton") == "/srv/current/bin/baton")
        #expect(name(".//bin/baton") == "/srv/current/bin/baton")
        #expect(name("bin/baton", in: "/") == "/bin/baton")
        // Behind a link `..` is the parent of where it leads, so it cannot be taken out of the text.
        #expect(name("../bin/baton") == "/srv/current/../bin/baton")
        #expect(name("baton") == "baton")
    }

    @Test("a link is followed when the upgrade comes, also in the middle of the path")
    func links() throws {
        defer { remove() }
        try place("1.0/bin/baton")
        try place("1.1/bin/baton")
        let link = "\(folder)/current"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "1.0")
        let program = StartedProgram("./bin/baton", in: link, path: nil)
        try FileManager.default.removeItem(atPath: "\(folder)/1.0")
        #expect(throws: RuntimeError.self) { try program.resolved() }
        try FileManager.default.removeItem(atPath: link)
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "1.1")
        #expect(try program.resolved() == "\(link)/bin/baton")
    }

    @Test("a name is looked up in PATH when the upgrade comes; what cannot be executed is passed over")
    func searchPath() throws {
        defer { remove() }
        try place("b/baton")
        try place("c/baton")
        let program = StartedProgram("baton", in: folder, path: "\(folder)/a:b:\(folder)/c")
        #expect(try program.resolved() == "\(folder)/b/baton")
        try place("a/baton")
        #expect(try program.resolved() == "\(folder)/a/baton")
        try place("a/baton", mode: 0o644)
        try place("b/baton", mode: 0o644)
        // Root may read anything and executes only what somebody may.
        #expect(try program.resolved() == "\(folder)/c/baton")
        try FileManager.default.removeItem(atPath: "\(folder)/c")
        let error = #expect(throws: RuntimeError.self) { try program.resolved() }
        #expect(error?.message.contains("PATH") == true)
    }

    @Test("what cannot be executed is named with the reason and what to do")
    func reasons() throws {
        defer { remove() }
        try place("plain", mode: 0o644)
        for (name, reason) in [("missing", "no such file"), ("plain", "may not execute"), ("", "no file")] {
            let error = #expect(throws: RuntimeError.self) {
                try StartedProgram("\(folder)/\(name)", in: "/", path: nil).resolved()
            }
            #expect(error?.message.contains(reason) == true && error?.message.contains("--binary") == true, "\(name)")
        }
    }
}
