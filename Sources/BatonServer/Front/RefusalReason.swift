/// Why a connection is closed before it has a target; the raw value is its label in the metrics.
enum RefusalReason: String, Sendable {
    case connections
    case connectionsPerSource = "connections_per_source"
    case proxyHeader = "proxy_header"
    case preface
    case noRoute = "no_route"
    case time
    case badRequest = "bad_request"
    case network
    case serverName = "server_name"
    case clientRules = "client_rules"
    case connectionRatePerSource = "connection_rate_per_source"
    case handshakeRate = "handshake_rate"
    case handshakes
    case noRoom = "no_room"
}
