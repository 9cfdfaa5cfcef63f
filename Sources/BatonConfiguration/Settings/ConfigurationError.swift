/// Everything that is wrong with a configuration, in one go.
package struct ConfigurationError: Error, Hashable, Sendable {
    /// What is wrong, in the order of the keys; never empty.
    package let problems: [ConfigurationProblem]
    /// The name of the file that was read, if one was.
    package var file: String?

    package init(problems: [ConfigurationProblem], file: String? = nil) {
        self.problems = problems
        self.file = file
    }

    /// A line for each problem.
    package var lines: [String] { problems.map { $0.line(in: file) } }
}

extension ConfigurationError: CustomStringConvertible {
    /// One line for each problem.
    package var description: String { lines.joined(separator: "\n") }
}
