/// Everything that `baton serve` can be told: a plain value, read from a YAML file and flags by `init(file:flags:)`.
///
/// It reads no file itself and knows no clock; whether the files it names are there is asked by `check(_:)`.
public struct Configuration: Hashable, Sendable {
    /// The number of worker processes; nil: one for each processor.
    public var workers: Int?
    /// Each connection moves to another worker after this many application-data records; 0: never.
    public var moveEvery = 0
    /// The path of the control socket.
    public var control = "/run/baton/control.sock"
    /// Where `/healthz`, `/metrics` and the page are served; nil: nowhere.
    public var admin: Address?
    /// Host names by which the admin address may be asked for, beside its IP addresses and `localhost`.
    public var adminHosts: [String] = []
    /// How many connections may wait to be accepted, at each listening socket.
    public var backlog = 4_096
    /// The user to become once the sockets are bound; nil: stay.
    public var user: String?
    /// The group to become once the sockets are bound; nil: the user's.
    public var group: String?
    /// The least severe messages that are logged.
    public var logLevel: LogLevel = .info
    /// How long connections are still accepted after SIGTERM.
    public var shutdownDelay: Duration = .zero
    /// The longest time that a stop waits for connections to end, from when none is accepted any more; nil: as long as they
    /// last.
    public var shutdownTime: Duration? = .seconds(30)
    /// The limits.
    public var limits = Limits()
    /// The session tickets.
    public var sessionTickets = SessionTickets()
    /// The listening sockets by name.
    public var listeners: [String: Listener] = [:]
    /// The certificates by name.
    public var certificates: [String: Certificate] = [:]
    /// The routes by name. Without any, the connections go to the only upstream, or to the built-in page.
    public var routes: [String: Route] = [:]
    /// The upstreams by name.
    public var upstreams: [String: Upstream] = [:]
    /// How connections move to other hosts and come from them.
    public var migration = Migration()
    /// The other hosts by name.
    public var peers: [String: Peer] = [:]

    /// The defaults, without a listener.
    public init() {}

    /// The router of the routes, or of what holds without any.
    public var router: Router {
        guard routes.isEmpty else { return Router(routes: routes) }
        var route = Route()
        if let upstream = upstreams.keys.first { route.target = .upstream(upstream) }
        return Router(routes: ["default": route])
    }
}
