import ArgumentParser
import BatonConfiguration
import BatonServer

/// `baton check`: whether a configuration can be served, without serving it.
struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Check a configuration file without starting a server.")

    @Option(help: "The configuration file.", completion: .file())
    var config: String

    @Flag(help: "Print one JSON document.")
    var json = false

    private struct Answer: Encodable {
        var valid: Bool
        var problems: [String]
        var warnings: [String]
    }

    func run() async throws {
        var problems: [String] = []
        var warnings: [String] = []
        do {
            warnings = try ConfigurationCheck.run(ServeOptions(configurationPath: config, flags: []))
        } catch let error as ConfigurationError {
            problems = error.problems.map(\.description)
        } catch {
            problems = ["\(error)"]
        }
        if json {
            print(try JSONDocument.text(Answer(valid: problems.isEmpty, problems: problems, warnings: warnings)))
            guard problems.isEmpty else { throw ExitCode(1) }
        } else {
            guard problems.isEmpty else { throw Failure(problems.joined(separator: "; ")) }
            for warning in warnings { print("warning: \(warning)") }
            print("\(config) is good")
        }
    }
}
