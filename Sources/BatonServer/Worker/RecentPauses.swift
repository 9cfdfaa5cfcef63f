/// The last pauses, in a ring of fixed size.
struct RecentPauses: Sendable {
    static let capacity = 240

    private var ring: [RecentPause] = []
    private var next = 0

    mutating func append(_ pause: RecentPause) {
        if ring.count < Self.capacity {
            ring.append(pause)
        } else {
            ring[next] = pause
        }
        next = (next + 1) % Self.capacity
    }

    /// In no order.
    var all: [RecentPause] { ring }
}
