/// One line of the table.
struct Row {
    struct Rival {
        let name: String
        let spread: Spread
    }

    let name: String
    let unit: String
    /// Whether a larger figure is the better one: rates, not times.
    let isRate: Bool
    let figure: Spread
    let rival: Rival?
    let aim: Aim?

    init(
        _ name: String, unit: String, isRate: Bool = false, _ figure: Spread, rival: Rival? = nil, aim: Aim? = nil
    ) {
        self.name = name
        self.unit = unit
        self.isRate = isRate
        self.figure = figure
        self.rival = rival
        self.aim = aim
    }

    /// How many times better than the rival, by the medians: below 1 is worse.
    var ratio: Double? {
        guard let rival, figure.median > 0, rival.spread.median > 0 else { return nil }
        return isRate ? figure.median / rival.spread.median : rival.spread.median / figure.median
    }

    var isMet: Bool? { aim?.isMet(by: figure, beside: rival?.spread) }
}

extension Row: Encodable {
    private enum Key: String, CodingKey {
        case name, unit, baton, rival, rivalName = "rival_name", ratio, aim, isMet = "aim_met"
    }

    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        try fields.encode(name, forKey: .name)
        try fields.encode(unit, forKey: .unit)
        try fields.encode(figure, forKey: .baton)
        try fields.encodeIfPresent(rival?.spread, forKey: .rival)
        try fields.encodeIfPresent(rival?.name, forKey: .rivalName)
        try fields.encodeIfPresent(ratio, forKey: .ratio)
        try fields.encodeIfPresent(aim?.description, forKey: .aim)
        try fields.encodeIfPresent(isMet, forKey: .isMet)
    }
}
