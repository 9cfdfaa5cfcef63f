/// Where a route leads.
package enum Target: Hashable, Sendable {
    /// The built-in page that names the process, the worker and the connection's moves.
    case hello
    /// Every byte comes back.
    case echo
    /// A program that listens for parcels on this Unix socket and speaks to the client itself.
    case worker(path: String)
    /// The upstream of this name; the worker proxies to it.
    case upstream(String)
}

extension Target {
    /// What a target may look like, for messages and documents.
    static let forms = "hello, echo, worker:/PATH or the name of an upstream"

    package init?(_ text: String) {
        switch text {
        case "hello": self = .hello
        case "echo": self = .echo
        case _ where text.hasPrefix("worker:"):
            guard case .unix(let path)? = try? Address("unix:" + text.dropFirst(7)) else { return nil }
            self = .worker(path: path)
        default:
            guard SettingName(text) != nil else { return nil }
            self = .upstream(text)
        }
    }
}

extension Target: CustomStringConvertible {
    /// The form that the configuration has.
    package var description: String {
        switch self {
        case .hello: "hello"
        case .echo: "echo"
        case .worker(let path): "worker:\(path)"
        case .upstream(let name): name
        }
    }
}
