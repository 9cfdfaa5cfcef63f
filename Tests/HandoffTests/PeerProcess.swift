import CLinuxSockets
import Glibc
import Testing

@testable import Handoff

/// A `HandoffPeer` process. It is killed and reaped when this goes.
final class Peer {
    let processID: pid_t
    private let control: Int32
    private var isReaped = false

    init(_ arguments: String...) throws {
        let program = try Self.program()
        let (near, far) = socketPair()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, far, 0)
        posix_spawn_file_actions_adddup2(&actions, far, 1)
        defer { posix_spawn_file_actions_destroy(&actions) }
        var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
        words.append(nil)
        defer { for word in words { free(word) } }
        var identifier: pid_t = 0
        let result = posix_spawn(&identifier, program, &actions, nil, words, environ)
        close(far)
        guard result == 0 else {
            close(near)
            throw TestFailure("cannot start \(program): \(errorText(result))")
        }
        processID = identifier
        control = near
    }

    deinit {
        kill()
        close(control)
    }

    /// The next line it says.
    func line() throws -> String {
        var bytes: [UInt8] = []
        while true {
            var byte: UInt8 = 0
            guard try wait(for: Int16(POLLIN), on: control, until: generously()) else {
                throw TestFailure("the peer said nothing")
            }
            guard read(control, &byte, 1) == 1 else { throw TestFailure("the peer ended after '\(bytes)'") }
            if byte == UInt8(ascii: "\n") { return String(decoding: bytes, as: UTF8.self) }
            bytes.append(byte)
        }
    }

    /// Lets it go on.
    func resume() {
        _ = write(control, "g", 1)
    }

    func kill() {
        guard !isReaped else { return }
        _ = Glibc.kill(processID, SIGKILL)
        var status: Int32 = 0
        while waitpid(processID, &status, 0) < 0, errno == EINTR {}
        isReaped = true
    }

    /// Beside the test bundle, where the build puts it.
    private static func program() throws -> String {
        for argument in CommandLine.arguments where argument.hasSuffix(".xctest") {
            let folder = argument.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            let program = (folder + ["HandoffPeer"]).joined(separator: "/")
            if access(program, X_OK) == 0 { return program }
        }
        throw TestFailure("HandoffPeer is not beside the test bundle: \(CommandLine.arguments)")
    }
}

/// A listener and the TCP port a peer connects its connection to.
struct Meeting: ~Copyable {
    let directory: String
    let path: String
    let listener: HandoffListener
    let tcp: Int32
    let port: UInt16

    init() throws {
        directory = temporaryDirectory()
        path = directory + "/handoff"
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, length) | listen(socket, 8) | getsockname(socket, $0, &length)
            }
        }
        tcp = socket
        port = UInt16(bigEndian: address.sin_port)
        listener = try HandoffListener(at: path)
    }

    deinit {
        close(tcp)
        unlink(path + ".lock")
        unlink(path)
        rmdir(directory)
    }

    func accept() throws -> HandoffSocket {
        try require(listener.accept(deadline: generously()))
    }

    func acceptConnection() throws -> Int32 {
        guard try wait(for: Int16(POLLIN), on: tcp, until: generously()) else { throw TestFailure("nobody connects") }
        return baton_accept(tcp)
    }
}
