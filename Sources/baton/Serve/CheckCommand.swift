import ArgumentParser
import BatonConfiguration
import BatonServer

/// `baton check`: whether a configuration can be served, without serving it.
struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Check a configuration file without starting a server.",
        discussion: """
            What is wrong is told on standard error, a problem on each line, as FILE:LINE: KEY: what it is and what to do; \
            the exit status is 1 then. The environment counts as it does for baton serve. Without FILE, BATON_CONFIG names \
            it.
            """)

    @Argument(help: "The configuration file.", completion: .file())
    var file: String?

    @Option(help: ArgumentHelp("The configuration file.", valueName: "file"), completion: .file())
    var config: String?

    @Flag(help: "Print one JSON document.")
    var json = false

    func validate() throws {
        if let file, let config { throw ValidationError("'\(file)' and '\(config)' are two files; name one") }
        guard path != nil else { throw ValidationError("no file is named; write baton check FILE") }
    }

    private var path: String? { file ?? config ?? ServeOptions.environmentPath }

    fileprivate struct Answer: Encodable {
        /// A problem in its parts.
        struct Finding: Encodable {
            var file: String?
            var line: Int?
            var variable: String?
            var key: String?
            var code: String?
            var message: String
        }

        var valid: Bool
        var problems: [String]
        var findings: [Finding]
        var warnings: [String]
    }

    func run() async throws {
        let path = path ?? ""
        var error = ConfigurationError(problems: [], file: path)
        var warnings: [String] = []
        do {
            warnings = try ConfigurationCheck.run(ServeOptions(configurationPath: path, flags: []))
        } catch let thrown as ConfigurationError {
            // The name is told as it was given.
            error = ConfigurationError(problems: thrown.problems, file: path)
        } catch let thrown {
            error = ConfigurationError(
                problems: [.init(code: .environment, key: nil, message: "\(thrown)")], file: path)
        }
        let isGood = error.problems.isEmpty
        if json {
            let answer = Answer(
                valid: isGood, problems: error.problems.map(\.description),
                findings: error.problems.map { Answer.Finding($0, file: path) }, warnings: warnings)
            print(try JSONDocument.text(answer))
        } else {
            for warning in warnings { print("warning: \(warning)") }
            if isGood { print("\(path) is good") } else { StandardError.write(error.lines) }
        }
        if !isGood { throw ExitCode(1) }
    }
}

extension CheckCommand.Answer.Finding {
    fileprivate init(_ problem: ConfigurationProblem, file: String) {
        self.init(key: problem.key, code: problem.code.rawValue, message: problem.message)
        switch problem.origin {
        case .environment(let variable): self.variable = variable
        case .file(let line): (self.file, self.line) = (file, line)
        case .flag, nil: self.file = file
        }
    }
}
