import Foundation

/// Clients in the lab: `LabClientProcess`, started there.
final class LabClient {
    enum Kind: String {
        case tls, plain
    }

    private let program: Program

    /// Connects; every connection is ready when this returns.
    ///
    /// - Parameters:
    ///   - others: connections that are idle or, beside one that exchanges messages, say something now and then.
    ///   - isPinging: whether one exchanges messages as fast as it can.
    init(in lab: DrainLab, _ kind: Kind, others: Int, isPinging: Bool) throws {
        let arguments = [LabClientProcess.argument, kind.rawValue, "\(others)", isPinging ? "ping" : "idle"]
        program = try Program(lab.inside(.client) + ["/proc/\(getpid())/exe"] + arguments, isHeard: true)
        _ = try program.line()
    }

    /// The round trips since it was asked last.
    func roundTrips() throws -> RoundTrips {
        try program.say("roundtrips")
        return try JSONDecoder().decode(RoundTrips.self, from: Data(program.line().utf8))
    }

    /// Whether every one of the others still works: a message goes there and back on each.
    func check() throws {
        try program.say("check")
        _ = try program.line()
    }
}
