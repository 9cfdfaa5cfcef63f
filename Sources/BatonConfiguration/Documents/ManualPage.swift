/// A manual page in roff, with the macros of man(7).
///
/// Text is plain, with `` `…` `` around what is written as it stands, as in the rest of this project's texts.
package struct ManualPage: Sendable {
    /// The name of the page, which is that of its file without the section.
    package let name: String
    /// The number of its section of the manual: 1 commands, 5 files, 8 administration.
    package let section: Int
    private var lines: [String]

    /// The name of its file: `baton.1`.
    package var fileName: String { "\(name).\(section)" }

    /// The page as roff, with a final line break.
    package var roff: String { lines.joined(separator: "\n") + "\n" }

    /// Begins a page with its NAME section, by which apropos(1) finds it.
    ///
    /// - Parameters:
    ///   - name: of the page.
    ///   - section: 1 to 8.
    ///   - version: of the program.
    ///   - summary: what it is, in half a sentence.
    package init(_ name: String, section: Int, version: String, summary: String) {
        self.name = name
        self.section = section
        lines = [
            ".TH \(Self.quoted(name.uppercased())) \(section) \"\" \(Self.quoted("Baton \(version)")) \"Baton\"",
            // No hyphenation, flush left: keys and flags stay whole.
            ".nh", ".ad l",
        ]
        heading("Name")
        lines.append("\(Self.literal(name)) \\- \(Self.text(summary))")
    }

    /// Begins a section.
    package mutating func heading(_ title: String) { lines.append(".SH \(Self.quoted(title.uppercased()))") }

    /// Begins a part of a section.
    package mutating func subheading(_ title: String) { lines.append(".SS \(Self.quoted(title))") }

    /// Adds a paragraph.
    package mutating func paragraph(_ text: String) {
        lines.append(".PP")
        append(text)
    }

    /// Adds a word with what it stands for, indented below it.
    ///
    /// - Parameters:
    ///   - tag: the word, as it is typed.
    ///   - paragraphs: what to say of it, each with a line of its own.
    package mutating func item(_ tag: String, _ paragraphs: [String]) {
        lines += [".TP", "\\fB\(Self.literal(tag))\\fR"]
        for (index, text) in paragraphs.filter({ !$0.isEmpty }).enumerated() {
            if index > 0 { lines.append(".br") }
            append(text)
        }
    }

    /// Adds lines as they stand: a command line, a file.
    package mutating func example(_ text: String) {
        lines += [".PP", ".RS 4", ".nf"]
        lines += text.split(separator: "\n", omittingEmptySubsequences: false).map { Self.line(Self.literal($0)) }
        lines += [".fi", ".RE"]
    }

    private mutating func append(_ text: String) {
        // A sentence that ends a line is followed by the right space.
        lines += text.split(separator: "\n").map { Self.line(Self.text($0)) }
    }

    /// A line that is no request: those begin with a dot or an apostrophe.
    private static func line(_ roff: String) -> String {
        roff.hasPrefix(".") || roff.hasPrefix("'") ? "\\&" + roff : roff
    }

    /// An argument of a macro.
    private static func quoted(_ text: String) -> String { "\"\(escaped(text))\"" }

    /// Prose, in which what stands between back quotes is bold.
    private static func text(_ prose: some StringProtocol) -> String {
        let parts = prose.split(separator: "`", omittingEmptySubsequences: false)
        // A back quote without its partner is one.
        guard parts.count % 2 == 1 else { return escaped(prose) }
        return parts.enumerated().map { index, part in
            index % 2 == 0 ? escaped(part) : "\\fB\(literal(part))\\fR"
        }.joined()
    }

    /// What is typed: every hyphen is a minus sign, which can be copied.
    private static func literal(_ text: some StringProtocol) -> String {
        escaped(text).replacing("-", with: "\\-")
    }

    /// Characters that roff takes for something else than themselves, and those beyond ASCII.
    private static func escaped(_ text: some StringProtocol) -> String {
        var roff = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": roff += "\\(rs"
            case "\"": roff += "\\(dq"
            case "'": roff += "\\(aq"
            case "`": roff += "\\(ga"
            case "^": roff += "\\(ha"
            case "~": roff += "\\(ti"
            case "…": roff += "..."
            case "\u{20}"..."\u{7E}": roff.unicodeScalars.append(scalar)
            case "\t": roff += "    "
            default:
                guard scalar.value > 0x9F else { continue }
                let digits = String(scalar.value, radix: 16, uppercase: true)
                roff += "\\[u\(String(repeating: "0", count: max(0, 4 - digits.count)))\(digits)]"
            }
        }
        return roff
    }
}
