import Configuration
import Synchronization

/// YAML that is already in memory, as a provider of swift-configuration, which itself only reads files. Unlike those it
/// can say which keys there are: a provider is otherwise only asked for keys that somebody knows.
struct YAMLText: ConfigProvider {
    private let content: YAMLSnapshot
    /// The keys that have a value, joined by dots.
    let keys: Set<String>

    init(_ text: RawSpan) throws {
        let seen = SeenKeys()
        // The parser asks of every key that has a value whether it is secret.
        content = try YAMLSnapshot(
            data: text, providerName: "YAMLText",
            parsingOptions: .init(secretsSpecifier: .dynamic { key, _ in seen.insert(key) }))
        keys = seen.keys.withLock { $0 }
    }

    private final class SeenKeys: Sendable {
        let keys = Mutex<Set<String>>([])

        /// Always false: a configuration holds paths of secrets, no secrets.
        func insert(_ key: String) -> Bool {
            keys.withLock { _ = $0.insert(key) }
            return false
        }
    }

    var providerName: String { content.providerName }

    func value(forKey key: AbsoluteConfigKey, type: ConfigType) throws -> LookupResult {
        try content.value(forKey: key, type: type)
    }

    func fetchValue(forKey key: AbsoluteConfigKey, type: ConfigType) async throws -> LookupResult {
        try value(forKey: key, type: type)
    }

    nonisolated(nonsending) func watchValue<Return: ~Copyable>(
        forKey key: AbsoluteConfigKey, type: ConfigType,
        updatesHandler:
            nonisolated(nonsending) (
                _ updates: ConfigUpdatesAsyncSequence<Result<LookupResult, any Error>, Never>
            ) async throws -> Return
    ) async throws -> Return {
        try await watchValueFromValue(forKey: key, type: type, updatesHandler: updatesHandler)
    }

    func snapshot() -> any ConfigSnapshot { content }

    nonisolated(nonsending) func watchSnapshot<Return: ~Copyable>(
        updatesHandler:
            nonisolated(nonsending) (
                _ updates: ConfigUpdatesAsyncSequence<any ConfigSnapshot, Never>
            ) async throws -> Return
    ) async throws -> Return {
        try await watchSnapshotFromSnapshot(updatesHandler: updatesHandler)
    }
}
