/// What did not happen on a connection that a test was waiting for.
package struct WireError: Error, CustomStringConvertible {
    package var description: String

    package init(_ description: String) { self.description = description }
}
