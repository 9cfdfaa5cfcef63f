import ArgumentParser
import BatonConfiguration

/// Puts the errors of the server into the form of the command line: a line for each, and status 2 for wrong arguments.
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
            let isUsage = error.problems.allSatisfy {
                $0.code == .badFlag || $0.origin == .flag && $0.code != .environment
            }
            return isUsage ? ValidationError(error.description) : Failure(error.description)
        }
        return Failure("\(error)")
    }
}
