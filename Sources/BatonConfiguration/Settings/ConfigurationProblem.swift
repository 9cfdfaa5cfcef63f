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

    /// Where a value comes from.
    package enum Origin: Hashable, Sendable {
        /// The file, on this line, from 1; nil: no line can be named.
        case file(line: Int?)
        /// This variable of the environment.
        case environment(String)
        /// The command line.
        case flag
    }

    /// The kind.
    package let code: Code
    /// The key it is about; nil: the file as a whole.
    package let key: String?
    /// What is wrong and what to do, in words that follow the key.
    package let message: String
    /// Where to look; nil: nothing that is there is wrong, but something is missing.
    package internal(set) var origin: Origin?

    package init(code: Code, key: String?, message: String, origin: Origin? = nil) {
        self.code = code
        self.key = key
        self.message = message
        self.origin = origin
    }

    /// One line, as compilers write them: `FILE:LINE: KEY: what is wrong`, or the variable in place of file and line.
    ///
    /// - Parameter file: the name of the file; nil: there is none.
    package func line(in file: String?) -> String {
        switch origin {
        case .environment(let variable): "\(variable): \(description)"
        case .flag: key.map { "--\($0): \(message)" } ?? message
        case .file(let line):
            [file, line.map { "\($0)" }].compactMap { $0 }.map { "\($0):" }.joined() + " " + description
        case nil: file.map { "\($0): \(description)" } ?? description
        }
    }
}

extension ConfigurationProblem: CustomStringConvertible {
    /// One line: the key and the message.
    package var description: String { key.map { "\($0): \(message)" } ?? message }
}
