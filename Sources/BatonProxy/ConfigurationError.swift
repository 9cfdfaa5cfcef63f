/// Everything that is wrong with a configuration, in one go.
public struct ConfigurationError: Error, Hashable, Sendable {
    /// What is wrong, in the order of the keys; never empty.
    public let problems: [ConfigurationProblem]
}

extension ConfigurationError: CustomStringConvertible {
    /// One line for each problem.
    public var description: String { problems.map(\.description).joined(separator: "\n") }
}
