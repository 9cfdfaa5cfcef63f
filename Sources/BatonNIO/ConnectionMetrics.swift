internal import CoreMetrics

/// What a registry tells of its connections, by swift-metrics.
struct ConnectionMetrics: Sendable {
    let connections: Meter
    let movesIn: Counter
    let movesOut: Counter
    let movesFailed: Counter
    /// From when a connection has left its channel until its receiver has it.
    let handover: Timer
    /// From when a connection has left its last owner's channel until it is active in one here.
    let pause: Timer

    init(_ factory: any MetricsFactory) {
        connections = Meter(label: "baton_connections", factory: factory)
        movesIn = Counter(label: "baton_moves_in", factory: factory)
        movesOut = Counter(label: "baton_moves_out", factory: factory)
        movesFailed = Counter(label: "baton_moves_failed", factory: factory)
        handover = Timer(label: "baton_handover_duration", factory: factory)
        pause = Timer(label: "baton_move_pause", factory: factory)
    }
}
