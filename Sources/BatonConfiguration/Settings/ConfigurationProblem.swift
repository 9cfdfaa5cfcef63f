/// One thing that is wrong with a configuration.
package struct ConfigurationProblem: Hashable, Sendable {
    /// The kind of a problem.
    package enum Code: String, Hashable, Sendable {
        /// The file is not YAML, or not a mapping of keys.
        case unreadable
        /// There is no such key.
        case unknownKey
        /// The value has the wrong type or is out of range.
        case badValue
        /// A required key is missing.
        case missing
        /// Two settings contradict each other, or one names something that is not there.
        case contradiction
        /// Something outside the configuration is not as it must be: a file, a directory, a user.
        case environment
        /// A flag is not written as one.
        case badFlag
    }

    /// The kind.
    package let code: Code
    /// The key it is about; nil: the file as a whole.
    package let key: String?
    /// What is wrong and what to do, in words that follow the key.
    package let message: String
}

extension ConfigurationProblem: CustomStringConvertible {
    /// One line: the key and the message.
    package var description: String { key.map { "\($0): \(message)" } ?? message }
}
