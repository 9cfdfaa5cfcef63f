/// The version of this program.
package enum BatonVersion {
    /// As `baton --version` prints it.
    package static let current = "0.2.0"
}
