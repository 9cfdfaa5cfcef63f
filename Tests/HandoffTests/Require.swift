import Testing

/// `#require` takes copyable values only.
func require<T: ~Copyable>(
    _ value: consuming T?, sourceLocation: SourceLocation = #_sourceLocation
) throws -> T {
    if let value { return value }
    Issue.record("a value is missing", sourceLocation: sourceLocation)
    throw TestFailure("a value is missing")
}
