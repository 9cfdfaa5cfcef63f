import BatonCore

/// Where the access log goes.
package enum AccessLogTarget: Hashable, Sendable {
    /// A file, which is appended to.
    case file(String)
    /// Standard output, of all processes of the server.
    case standardOutput
    /// The socket of the system's log, which takes datagrams.
    case syslog(String)

    /// Where a system's log listens.
    package static let syslogPath = "/dev/log"
}

/// How a line of the access log is written.
package enum AccessLogFormat: String, Hashable, Sendable, CaseIterable {
    /// A JSON object (RFC 8259).
    case json
    /// Pairs of `name=value`.
    case logfmt
}

extension SettingFormat where Value == AccessLogTarget {
    static var accessLogTarget: SettingFormat {
        .word(
            "an absolute path, stdout, syslog or syslog:/PATH",
            read: { word -> AccessLogTarget? in
                switch word {
                case "stdout": .standardOutput
                case "syslog": .syslog(AccessLogTarget.syslogPath)
                case _ where word.hasPrefix("syslog:"):
                    SettingFormat<String>.socketPath.read(.scalar(String(word.dropFirst(7)))).map { .syslog($0) }
                default:
                    word.hasPrefix("/") && !word.hasSuffix("/")
                        ? SettingFormat<String>.path.read(.scalar(word)).map { .file($0) } : nil
                }
            },
            write: { target in
                switch target {
                case .file(let path): path
                case .standardOutput: "stdout"
                case .syslog(AccessLogTarget.syslogPath): "syslog"
                case .syslog(let path): "syslog:\(path)"
                }
            })
    }
}
