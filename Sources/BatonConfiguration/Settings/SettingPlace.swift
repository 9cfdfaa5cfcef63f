/// Which section a key belongs to.
struct SettingPlace: Hashable, Sendable, Comparable {
    /// The index in `SettingGroup.all`.
    let group: Int
    /// The name of the listener, certificate, route or upstream; empty for the whole server.
    let name: String

    static func < (a: SettingPlace, b: SettingPlace) -> Bool { (a.group, a.name) < (b.group, b.name) }

    /// What a whole key stands for.
    enum Meaning {
        /// A setting.
        case setting(SettingPlace, String)
        /// A named section, without a setting: it may be empty in the file.
        case empty(SettingPlace)
        /// A group, without a name: it may be empty in the file.
        case nothing
        /// The name in it cannot be one.
        case badName(String)
        /// Nothing; the nearest key that there is.
        case unknown(nearest: String)
    }

    /// Whether it is the key of a setting that takes several words.
    static func isList(_ key: String) -> Bool {
        guard case .setting(let place, let setting) = find(key) else { return false }
        return SettingGroup.all[place.group].rows.first { $0.key == setting }?.isList ?? false
    }

    static func find(_ key: String) -> Meaning {
        let parts = key.split(separator: ".", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
        if let index = SettingGroup.all.firstIndex(where: { $0.prefix == parts[0] }) {
            guard parts.count > 1 else { return .nothing }
            guard SettingName(parts[1]) != nil else { return .badName(parts[1]) }
            let place = SettingPlace(group: index, name: parts[1])
            guard parts.count > 2 else { return .empty(place) }
            let group = SettingGroup.all[index]
            if group.rows.contains(where: { $0.key == parts[2] }) { return .setting(place, parts[2]) }
            let nearest = group.rows.map(\.key).nearest(to: parts[2])
            return .unknown(nearest: group.key(nearest, of: parts[1]))
        }
        let settings = SettingGroup.all[0].rows.map(\.key)
        if settings.contains(key) { return .setting(SettingPlace(group: 0, name: ""), key) }
        if settings.contains(where: { $0.hasPrefix(key + ".") }) { return .nothing }
        // A misspelt group is nearer to the group than to any whole key.
        let groups = SettingGroup.all.compactMap(\.prefix)
        let nearestGroup = groups.nearest(to: parts[0])
        let nearestSetting = settings.nearest(to: key)
        if parts[0].editDistance(to: nearestGroup) < key.editDistance(to: nearestSetting) {
            return .unknown(nearest: ([nearestGroup] + parts.dropFirst()).joined(separator: "."))
        }
        return .unknown(nearest: nearestSetting)
    }
}

extension [String] {
    /// The nearest element, if it is so near that it may be meant: at most so many letters away, and less than half of the word.
    package func nearest(to word: String, within distance: Int) -> String? {
        let found = nearest(to: word)
        let away = found.editDistance(to: word)
        return away <= distance && 2 * away < word.count ? found : nil
    }

    /// The element with the smallest edit distance, the first of equals; empty if there is none.
    package func nearest(to word: String) -> String {
        self.min { $0.editDistance(to: word) < $1.editDistance(to: word) } ?? ""
    }
}
