/// Everything that is wrong with a configuration, in one go.
package struct ConfigurationError: Error, Hashable, Sendable {
    /// What is wrong, in the order of the keys; never empty.
    package let problems: [ConfigurationProblem]
}

extension ConfigurationError: CustomStringConvertible {
    /// One line for each problem.
    package var description: String { problems.map(\.description).joined(separator: "\n") }
}
