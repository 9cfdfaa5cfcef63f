import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

@Suite(.serialized, .timeLimit(.minutes(5)))
struct ControlSocketTests {
    @Test(
        "the control socket is its user's alone, and another user who gets at it all the same is refused",
        .enabled(if: geteuid() == 0))
    func otherUser() throws {
        let files = try TemporaryFiles()
        let folder = files.path("control")
        let path = folder + "/c.sock"
        let baton = try PeerProcess(
            [try BuiltProgram.path("baton"), "serve", "--listen", "127.0.0.1:0", "--workers", "1", "--control", path])
        try baton.expect("] serving")
        func mode(_ path: String) throws -> Int? {
            try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        }
        #expect(try mode(folder) == 0o700)
        #expect(try mode(path) == 0o600)
        #expect(try asNobody(path) == "cannot connect")
        // As if somebody had opened the way to it.
        for (name, mode) in [(files.path(""), 0o711), (folder, 0o711), (path, 0o666)] {
            try #require(chmod(name, mode_t(mode)) == 0)
        }
        #expect(try asNobody(path) == "answered ''")
        try baton.expect("a command of another user is refused")
        #expect(try ControlClient(path: path).status().pid == baton.processID)
        kill(baton.processID, SIGTERM)
        try baton.expect(nil)
    }

    /// What a process of the user `nobody` hears when it asks for the status.
    private func asNobody(_ path: String) throws -> String {
        let program = """
            $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or do { print "cannot connect\\n"; exit };
            $SIG{PIPE} = 'IGNORE';
            syswrite $s, qq({"status":{}}\\n);
            sysread $s, $answer, 65536;
            print "answered '$answer'\\n";
            """
        let process = try PeerProcess(
            [
                "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "perl", "-MIO::Socket::UNIX", "-e",
                program,
            ]
                + [path])
        try process.expect(nil)
        return process.text.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
