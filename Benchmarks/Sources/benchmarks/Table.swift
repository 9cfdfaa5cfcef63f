/// Prints rows as they come, in columns.
struct Table {
    private static let heads = ["", "min", "median", "max", "rival min", "median", "max", "ratio", "aim", ""]
    private static let widths = [38, 9, 9, 9, 10, 9, 9, 7, 16, 6]

    func printHead() {
        line(Table.heads)
        print(String(repeating: "─", count: Table.widths.reduce(Table.widths.count, +)))
    }

    func print(_ row: Row) {
        let rival = row.rival?.spread
        line([
            "\(row.name), \(row.unit)",
            number(row.figure.minimum), number(row.figure.median), number(row.figure.maximum),
            rival.map { number($0.minimum) } ?? "", rival.map { number($0.median) } ?? "",
            rival.map { number($0.maximum) } ?? "",
            row.ratio.map { "\(number($0)) ×" } ?? "", row.aim?.description ?? "",
            row.isMet.map { $0 ? "met" : "MISSED" } ?? "",
        ])
    }

    private func line(_ cells: [String]) {
        var text = ""
        for (index, (cell, width)) in zip(cells, Table.widths).enumerated() {
            let padding = String(repeating: " ", count: max(0, width - cell.count))
            text += index == 0 ? cell + padding : " " + padding + cell
        }
        print(text)
    }

    /// A line of its own.
    func print(_ text: String) {
        Swift.print(text)
    }
}

/// Three significant digits, so that a table says no more than was measured.
func number(_ value: Double) -> String {
    if value != 0, value.magnitude < 1 { return String(fixed(value, places: 3)) }
    if value.magnitude < 10 { return fixed(value, places: 2) }
    if value.magnitude < 100 { return fixed(value, places: 1) }
    return fixed(value, places: 0)
}

private func fixed(_ value: Double, places: Int) -> String {
    var scale = 1.0
    for _ in 0..<places { scale *= 10 }
    let whole = Int((value * scale).rounded())
    guard places > 0 else { return String(whole) }
    let digits = String(whole.magnitude)
    let padded = String(repeating: "0", count: max(0, places + 1 - digits.count)) + digits
    let text = padded.dropLast(places) + "." + padded.suffix(places)
    var trimmed = Substring((whole < 0 ? "-" : "") + text)
    while trimmed.last == "0" { trimmed.removeLast() }
    if trimmed.last == "." { trimmed.removeLast() }
    return String(trimmed)
}
