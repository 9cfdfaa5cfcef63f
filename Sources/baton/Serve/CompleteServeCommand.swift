import ArgumentParser
import BatonConfiguration
import Foundation

/// What the completion scripts of shells ask while `baton serve …` is typed.
struct CompleteServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "complete-serve", shouldDisplay: false)

    @Argument(parsing: .captureForPassthrough)
    var words: [String] = []

    func run() {
        let words = words.first == "--" ? Array(words.dropFirst()) : words
        let path = words.firstIndex(of: "--config").flatMap { words.dropFirst($0 + 1).first }
        let file = path.flatMap { try? String(contentsOfFile: $0, encoding: .utf8) } ?? ""
        for word in FlagCompletion.candidates(for: words, file: file) { print(word) }
    }
}

/// The keys of the configuration as flags, which swift-argument-parser does not know: what is added to its scripts.
enum CompletionScript {
    /// The whole script, if the arguments ask for one.
    static func requested(_ arguments: [String]) -> String? {
        let parts = arguments.dropFirst().flatMap { $0.split(separator: "=", maxSplits: 1).map(String.init) }
        guard parts.first == "--generate-completion-script", parts.count == 2 else { return nil }
        return CompletionShell(rawValue: parts[1]).map(text)
    }

    private static func text(_ shell: CompletionShell) -> String {
        let script = Baton.completionScript(for: shell)
        switch shell {
        case .bash: return script + "\n" + bash
        case .zsh:
            // In front of the last lines, which call it.
            guard let end = script.range(of: "\nif [[ \"${funcstack[1]}\"", options: .backwards) else { return script }
            return script[..<end.lowerBound] + "\n" + zsh + script[end.lowerBound...]
        default: return script + "\n" + fish
        }
    }

    private static let bash = """
        # The flags of baton serve are the keys of its configuration. Where nothing is offered, files are.
        _baton_serve() {
            local word
            while IFS='' read -r word; do
                COMPREPLY+=("${word}")
            done < <("${COMP_WORDS[0]}" complete-serve -- "${COMP_WORDS[@]:2:$((COMP_CWORD - 1))}" 2>/dev/null)
            if [[ "${#COMPREPLY[@]}" -eq 0 ]]; then
                compopt -o default
            elif [[ "${#COMPREPLY[@]}" -eq 1 && "${COMPREPLY[0]}" = *. ]]; then
                compopt -o nospace
            fi
        }

        """

    private static let zsh = """
        # The flags of baton serve are the keys of its configuration. Where nothing is offered, files are.
        _baton_serve() {
            local -a words_offered=("${(@f)$(baton complete-serve -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
            local -a sections=("${(@M)words_offered:#*.}") others=("${(@)words_offered:#(*.|)}")
            [[ -z "${sections}${others}" ]] && { _files; return; }
            compadd -S '' -a sections
            compadd -a others
        }

        """

    private static let fish = """
        # The flags of baton serve are the keys of its configuration. Where nothing is offered, files are.
        complete -c baton -n '__fish_seen_subcommand_from serve' \\
            -a '(baton complete-serve -- (commandline -opc)[3..-1] (commandline -ct) 2>/dev/null)'

        """
}
