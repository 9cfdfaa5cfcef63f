import Foundation
import StockPeers
import Testing

/// The completion scripts, in the shells that they are for.
@Suite("Completion of the command line", .timeLimit(.minutes(2)))
struct CompletionTests {
    private let files: TemporaryFiles
    private let program: String

    init() throws {
        files = try TemporaryFiles()
        program = try BuiltProgram.path("baton")
    }

    /// What bash offers for a command line whose last word is being typed.
    private func bash(_ words: [String]) throws -> [String] {
        let script = try files.write(
            try Command(["--generate-completion-script", "bash"]).run().output
                + """
                COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*"
                COMP_POINT=${#COMP_LINE}
                _baton "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}" 2>/dev/null
                printf '%s\\n' "${COMPREPLY[@]}"

                """, "complete.bash")
        return try lines(["bash", script, program] + words)
    }

    /// What fish offers for it.
    private func fish(_ line: String) throws -> [String] {
        let script = try files.write(try Command(["--generate-completion-script", "fish"]).run().output, "baton.fish")
        let folder = program.dropLast("/baton".count)
        let question = "set -x PATH \(folder) $PATH; source \(script); complete -C '\(line)'"
        return try lines(["env", "HOME=\(files.path(""))", "fish", "-N", "-c", question])
    }

    private func lines(_ arguments: [String]) throws -> [String] {
        let shell = try PeerProcess(arguments)
        try shell.expect(nil)
        // fish adds what a word means, behind a tab.
        return shell.text.split(separator: "\n").map { String($0.prefix { $0 != "\t" }) }
    }

    @Test("bash completes the keys of the configuration, names of its file, values, and the other commands' flags")
    func bash() throws {
        let file = try files.write("listeners: { web: { address: \":443\" } }\n", "baton.yaml")
        #expect(try bash(["ser"]) == ["serve"])
        #expect(try bash(["serve", "--limits.connections-"]) == ["--limits.connections-per-source"])
        #expect(
            try bash(["serve", "--config", file, "--listeners."]) == ["--listeners.default.", "--listeners.web."])
        #expect(try bash(["serve", "--listeners.web.role", ""]) == ["server", "client", "detect"])
        #expect(try bash(["upgrade", "--bi"]) == ["--binary"])
    }

    @Test(
        "and so does fish", .enabled(if: access("/usr/bin/fish", X_OK) == 0, "it takes the Debian package fish"))
    func fish() throws {
        #expect(try fish("baton serve --limits.connections-") == ["--limits.connections-per-source"])
        #expect(try fish("baton serve --listeners.web.starttls i") == ["imap"])
    }

    @Test(
        "zsh's is one that zsh reads",
        .enabled(if: access("/usr/bin/zsh", X_OK) == 0, "it takes the Debian package zsh"))
    func zsh() throws {
        let text = try Command(["--generate-completion-script", "zsh"]).run().output
        #expect(text.hasPrefix("#compdef baton\n") && text.contains("complete-serve"))
        #expect(try lines(["zsh", "-f", "-n", try files.write(text, "_baton")]) == [])
    }
}
