import Foundation
import StockPeers

extension TemporaryFiles {
    /// Writes a program that is `baton` with a fault at one of its steps (`FaultPoint`), and so are all processes of it.
    ///
    /// - Parameter program: another than `baton` as it was built.
    func baton(failing fault: String, program: String? = nil) throws -> String {
        let program = try program ?? BuiltProgram.path("baton")
        let path = try write("#!/bin/sh\nBATON_FAULT=\(fault) exec '\(program)' \"$@\"\n", "baton")
        guard chmod(path, 0o755) == 0 else { throw WireError("chmod of \(path)") }
        return path
    }
}
