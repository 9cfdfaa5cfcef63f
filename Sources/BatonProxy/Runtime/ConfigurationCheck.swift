/// Everything about a configuration that can be known without serving it: keys and values, files, certificates.
public enum ConfigurationCheck {
    /// Checks what `options` name.
    ///
    /// - Throws: `ConfigurationError`, `RuntimeError`, or why a certificate cannot be used.
    public static func run(_ options: ServeOptions) throws {
        _ = try FrontPolicy(try options.read().configuration, keys: TicketKeysBox())
    }
}
