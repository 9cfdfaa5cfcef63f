/// Why the front closes a connection before a worker has it; the raw value is its label in the metrics.
enum RefusalReason: String, Sendable {
    case connections
    case connectionsPerSource = "connections_per_source"
    case proxyHeader = "proxy_header"
    case preface
    case noRoute = "no_route"
    case time
}
