internal import Libc

/// Sessions in an arena that its new owner has not taken over yet. Each is taken over when something happens to it, and the
/// others a few at a time, so that ten thousand of them hold none up.
struct Backlog {
    private var queue: [Int32] = []
    private var next = 0
    private var isWaiting: Set<Int32> = []
    private var numbers: [UInt64: Int32] = [:]
    private var sockets: [Int32: (client: CInt, upstream: CInt)] = [:]
    /// The extents that states of live sessions name, which nobody has checked.
    private var claims: Set<UInt32> = []
    /// Those of the sessions that have been taken over.
    var used: Set<UInt32> = []

    init() {}

    init(claims: Set<UInt32>) { self.claims = claims }

    /// How many there are.
    var count: Int { isWaiting.count }

    func contains(_ slot: Int) -> Bool { isWaiting.contains(Int32(truncatingIfNeeded: slot)) }

    /// The slot of a session.
    func slot(of number: UInt64) -> Int? { numbers[number].map(Int.init) }

    mutating func add(_ slot: Int, number: UInt64) {
        queue.append(Int32(slot))
        isWaiting.insert(Int32(slot))
        numbers[number] = Int32(slot)
    }

    /// The sockets of a session of which nothing has been taken over.
    mutating func give(_ pair: (client: CInt, upstream: CInt), to slot: Int) { sockets[Int32(slot)] = pair }

    /// The slot whose turn it is; `nil`: there is none.
    mutating func takeNext() -> Int? {
        while next < queue.count {
            next += 1
            if isWaiting.contains(queue[next - 1]) { return Int(queue[next - 1]) }
        }
        return nil
    }

    /// A session is being taken over: its sockets.
    mutating func take(_ slot: Int, number: UInt64) -> (client: CInt, upstream: CInt)? {
        isWaiting.remove(Int32(slot))
        if numbers[number] == Int32(slot) { numbers[number] = nil }
        return sockets.removeValue(forKey: Int32(slot))
    }

    /// Extents that were claimed by what has turned out to be no session. Asked once nothing is left.
    mutating func takeUnused() -> Set<UInt32> {
        defer { self = Backlog() }
        return claims.subtracting(used)
    }

    /// Closes the sockets of all, which another owner goes on with.
    func closeAll() {
        for (client, upstream) in sockets.values {
            close(client)
            close(upstream)
        }
    }
}
