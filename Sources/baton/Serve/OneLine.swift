import ArgumentParser
import BatonConfiguration

/// Puts the errors of the server into the form of the command line: one line, and status 2 for wrong arguments.
enum OneLine {
    static func errors<R>(_ body: () async throws -> R) async throws -> R {
        do {
            return try await body()
        } catch let error as ConfigurationError {
            let line = error.problems.map(\.description).joined(separator: "; ")
            if error.problems.contains(where: { $0.code == .badFlag }) { throw ValidationError(line) }
            throw Failure(line)
        } catch let error as any CustomStringConvertible & Error {
            throw Failure("\(error)")
        }
    }
}
