/// One key of a section of the configuration: the only place that knows its spelling, its values, its default and its
/// meaning. Reading, messages and the document are all made from it.
struct Setting<Section>: Sendable {
    /// The key within the section.
    let key: String
    /// What is allowed, in words that follow 'must be'.
    let allowed: String
    /// The default as it would be written; nil: the key is required.
    let defaultText: String?
    /// All words that are allowed, if they can be counted.
    let words: [String]
    /// Whether it takes several.
    let isList: Bool
    /// What the key does, for the document.
    let summary: String
    /// Puts the value in its place; false if it is not allowed.
    let apply: @Sendable (SettingValue, inout Section) -> Bool
}

extension Setting where Section: SettingSection {
    init<Value>(
        _ key: String, _ place: any WritableKeyPath<Section, Value> & Sendable, _ format: SettingFormat<Value>,
        isRequired: Bool = false, _ summary: String
    ) {
        self.key = key
        self.allowed = format.allowed
        words = format.words
        isList = format.isList
        self.summary = summary
        defaultText = isRequired ? nil : format.write(Section()[keyPath: place])
        apply = { value, section in
            guard let value = format.read(value) else { return false }
            section[keyPath: place] = value
            return true
        }
    }
}

/// A part of the configuration that is made of settings. A fresh one holds the defaults.
protocol SettingSection: Sendable {
    init()
    static var settings: [Setting<Self>] { get }
}
