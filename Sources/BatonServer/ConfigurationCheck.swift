internal import NIOCore

/// Everything about a configuration that can be known without serving it: keys and values, files, certificates.
package enum ConfigurationCheck {
    /// Checks what `options` name.
    ///
    /// - Returns: what the operator should know although it can be served, a line for each.
    /// - Throws: `ConfigurationError`, `RuntimeError`, or why a certificate cannot be used.
    @discardableResult
    package static func run(_ options: ServeOptions) throws -> [String] {
        let configuration = try options.read().configuration
        let policy = try FrontPolicy(configuration, keys: TicketKeysBox())
        return Capacity.shortfalls(
            of: configuration, descriptors: DescriptorLimit.hard, processors: System.coreCount,
            longestQueue: Capacity.longestQueue) + policy.notices
    }
}
