import Glibc

/// A program of this package.
package enum BuiltProgram {
    /// Where the build puts it: beside the test bundle.
    package static func path(_ name: String) throws -> String {
        for argument in CommandLine.arguments where argument.hasSuffix(".xctest") {
            let folder = argument.lastIndex(of: "/").map { String(argument[...$0]) } ?? ""
            let program = folder + name
            if access(program, X_OK) == 0 { return program }
        }
        throw WireError("\(name) is not beside the test bundle: \(CommandLine.arguments)")
    }
}
