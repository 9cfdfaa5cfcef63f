/// What a reload has done. Its JSON is an interface: keys are added, never changed.
package struct ReloadReport: Codable, Sendable, Hashable {
    /// The process that has read the configuration.
    package var pid: Int32
    /// The configuration file; nil: all is from flags. The files that flags name have been read again.
    package var file: String?
    /// How many there are now.
    package var listeners: Int
    /// How many there are now.
    package var certificates: Int
    /// Where the server listens now and did not before.
    package var opened: [String]
    /// Where it does not listen any more.
    package var closed: [String]
    /// Keys that have changed and that a reload does not change, each with what does.
    package var notReloaded: [String]
    /// Milliseconds from the beginning of the reading until every worker had the configuration.
    package var durationMilliseconds: Int

    private enum CodingKeys: String, CodingKey {
        case pid, file, listeners, certificates, opened, closed
        case notReloaded = "not_reloaded"
        case durationMilliseconds = "duration_ms"
    }
}

extension ReloadReport: CustomStringConvertible {
    /// For a terminal.
    package var description: String {
        func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
        let first =
            "pid \(pid) has read \(file ?? "its files") again in \(durationMilliseconds) ms: "
            + "\(count(listeners, "listener")), \(count(certificates, "certificate"))"
        let rest = [("opened", opened), ("closed", closed), ("changed, and not by a reload", notReloaded)]
        return
            ([first]
            + rest.compactMap { $0.1.isEmpty ? nil : "\($0.0): \($0.1.joined(separator: ", "))" })
            .joined(separator: "\n")
    }
}
