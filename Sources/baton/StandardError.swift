import Foundation

/// What a command has to say that is not its answer.
enum StandardError {
    /// Writes lines, each by itself.
    static func write(_ lines: [String]) {
        let text = lines.map { $0 + "\n" }.joined()
        try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
    }
}
