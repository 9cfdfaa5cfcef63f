package import BatonCore

/// Everything that `baton serve` can be told: a plain value, read from a YAML file and flags by `init(file:flags:)`.
///
/// It reads no file itself and knows no clock; whether the files it names are there is asked by `check(_:)`.
package struct Configuration: Hashable, Sendable {
    /// The number of worker processes; nil: one for each processor.
    package var workers: Int?
    /// Each connection moves to another worker after this many application-data records; 0: never.
    package var moveEvery = 0
    /// The path of the control socket.
    package var control = "/run/baton/control.sock"
    /// Where `/healthz`, `/metrics` and the page are served; nil: nowhere.
    package var admin: Address?
    /// Host names by which the admin address may be asked for, beside its IP addresses and `localhost`.
    package var adminHosts: [String] = []
    /// How many connections may wait to be accepted, at each listening socket.
    package var backlog = 4_096
    /// The user to become once the sockets are bound; nil: stay.
    package var user: String?
    /// The group to become once the sockets are bound; nil: the user's.
    package var group: String?
    /// Whether the processes that speak with peers give up what they have no use for.
    package var confinement: Confinement = .off
    /// The least severe messages that are logged.
    package var logLevel: LogLevel = .info
    /// Where each connection has a line at its end; nil: nowhere.
    package var accessLog: AccessLogTarget?
    package var accessLogFormat: AccessLogFormat = .json
    /// How long connections are still accepted after SIGTERM.
    package var shutdownDelay: Duration = .zero
    /// The longest time that a stop waits for connections to end, from when none is accepted any more; nil: as long as they
    /// last.
    package var shutdownTime: Duration? = .seconds(30)
    /// Whether certificates and the like are read again when their files change.
    package var reloadsOnChange = true
    /// Where OCSP responses that were fetched are kept.
    package var ocspDirectory = "/var/lib/baton"
    /// The limits.
    package var limits = Limits()
    /// The session tickets.
    package var sessionTickets = SessionTickets()
    /// The listening sockets by name.
    package var listeners: [String: Listener] = [:]
    /// The certificates by name.
    package var certificates: [String: Certificate] = [:]
    /// The routes by name. Without any, the connections go to the only upstream, or to the built-in page.
    package var routes: [String: Route] = [:]
    /// The upstreams by name.
    package var upstreams: [String: Upstream] = [:]
    /// The DNS server that the names of upstreams are asked of, an IPv4 address and its port; nil: as the system says.
    package var resolver: Endpoint?
    /// How connections move to other hosts and come from them.
    package var migration = Migration()
    /// The other hosts by name.
    package var peers: [String: Peer] = [:]

    /// The defaults, without a listener.
    package init() {}

    /// The router of the routes, or of what holds without any.
    package var router: Router {
        guard routes.isEmpty else { return Router(routes: routes) }
        var route = Route()
        if let upstream = upstreams.keys.first { route.target = .upstream(upstream) }
        return Router(routes: ["default": route])
    }
}
