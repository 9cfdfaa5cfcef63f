/// The version of this program.
public enum BatonVersion {
    /// As `baton --version` prints it.
    public static let current = "0.1.0"
}
