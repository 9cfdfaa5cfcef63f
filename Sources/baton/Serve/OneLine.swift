import ArgumentParser
import BatonConfiguration

/// Puts the errors of the server into the form of the command line: one line, and status 2 for wrong arguments.
enum OneLine {
    static func errors<R>(_ body: () async throws -> R) async throws -> R {
        do {
            return try await body()
        } catch {
            throw line(error)
        }
    }

    static func line(_ error: any Error) -> any Error {
        if let error = error as? ConfigurationError {
            let line = error.problems.map(\.description).joined(separator: "; ")
            if error.problems.contains(where: { $0.code == .badFlag }) { return ValidationError(line) }
            return Failure(line)
        }
        return Failure("\(error)")
    }
}
