/// The certificates of a server: which is served where, and until when. Its JSON is an interface: keys are added, never changed.
package struct CertificatesReport: Codable, Sendable, Hashable {
    /// A certificate.
    package struct Row: Codable, Sendable, Hashable {
        /// Its name in the configuration.
        package var name: String
        /// The listeners that may show it, by their names.
        package var listeners: [String]
        /// The file of its chain.
        package var file: String
        /// The distinguished name of whom it is for, as RFC 2253 writes it.
        package var subject: String?
        /// The distinguished name of who has signed it.
        package var issuer: String?
        /// The server names it is shown for.
        package var names: [String]?
        /// The kind of its key: `ECDSA P-256`, `RSA 2048`.
        package var key: String?
        /// The first second it is valid, as ISO 8601 has it, in UTC.
        package var notBefore: String?
        /// The last second it is valid.
        package var notAfter: String?
        /// Whole days that are left; below 0 when it has expired.
        package var daysLeft: Int?
        /// The OCSP response that is sent with it; nil if none is asked for.
        package var ocsp: Staple?
        /// Why it cannot be told of; nil if it can.
        package var problem: String?

        private enum CodingKeys: String, CodingKey {
            case name, listeners, file, subject, issuer, names, key, ocsp, problem
            case notBefore = "not_before"
            case notAfter = "not_after"
            case daysLeft = "days_left"
        }

        init(name: String, listeners: [String], file: String) {
            (self.name, self.listeners, self.file) = (name, listeners, file)
        }
    }

    /// The OCSP response that is sent with a certificate.
    package struct Staple: Codable, Sendable, Hashable {
        /// Until when it is sent, as ISO 8601 has it; nil: none is.
        package var goodUntil: String?
        /// Why none is sent, or why the next could not be had.
        package var problem: String?

        private enum CodingKeys: String, CodingKey {
            case problem
            case goodUntil = "good_until"
        }

        static func good(until time: String) -> Staple { Staple(goodUntil: time) }
        static func missing(because problem: String?) -> Staple { Staple(problem: problem ?? "there is none yet") }
    }

    /// In the order of their names.
    package var certificates: [Row]
}

extension CertificatesReport {
    /// For a terminal, without a final line break.
    package var table: String {
        guard !certificates.isEmpty else { return "no certificates: listeners show one that the server has made" }
        let rows =
            [["CERTIFICATE", "LISTENERS", "NAMES", "KEY", "ISSUER", "NOT AFTER", "DAYS", "OCSP", "FILE"]]
            + certificates.map(Self.columns)
        let widths = (0..<9).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            zip(row, widths).enumerated().map { index, cell in
                let (text, width) = cell
                let space = String(repeating: " ", count: width - text.count)
                // Numbers to the right, and nothing behind the last column.
                return index == 6 ? space + text : index == 8 ? text : text + space
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }

    private static func columns(_ row: Row) -> [String] {
        let listeners = row.listeners.isEmpty ? "-" : row.listeners.joined(separator: ",")
        if let problem = row.problem {
            return [row.name, listeners, "", "", "", "", "", "", "\(printable(row.file)): \(printable(problem))"]
        }
        let names = row.names ?? []
        let shown = names.prefix(3).map(printable).joined(separator: ",")
        let ocsp =
            switch row.ocsp {
            case nil: "-"
            case let staple?: staple.goodUntil.map { "good until \($0)" } ?? "none"
            }
        return [
            row.name, listeners, names.isEmpty ? printable(row.subject ?? "") : shown + (names.count > 3 ? ",…" : ""),
            row.key ?? "", printable(row.issuer ?? ""), row.notAfter ?? "", row.daysLeft.map { "\($0)" } ?? "", ocsp,
            printable(row.file),
        ]
    }

    /// Text from a certificate must not act on a terminal, or break a line.
    private static func printable(_ text: String) -> String {
        String(
            text.unicodeScalars.prefix(256).map { scalar in
                switch scalar.properties.generalCategory {
                case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: "?"
                default: Character(scalar)
                }
            })
    }
}
