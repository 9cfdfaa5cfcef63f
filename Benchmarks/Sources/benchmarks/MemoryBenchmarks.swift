import CAllocations
import CRival
import TLSRecords

/// What a connection costs while nothing happens on it.
struct MemoryBenchmarks {
    private static let count = 1_000

    static func all(_ credentials: Credentials) -> [Benchmark] {
        [Benchmark("heap of an idle connection") { try idle(credentials) }]
    }

    private static func idle(_ credentials: Credentials) throws -> [Row] {
        let measured = try Alternation.measure(
            rounds: 3, { try idleConnections(credentials) }, { try idleRivals(credentials) })
        return [
            Row(
                "heap of an idle connection", unit: "B", measured.first,
                rival: .init(name: "SSL_MODE_RELEASE_BUFFERS", spread: measured.second), aim: .atMost(1_024))
        ]
    }

    /// Bytes of heap for each connection, with the box that holds it, after a handshake and a record each way.
    private static func idleConnections(_ credentials: Credentials) throws -> Double {
        var kept: [IdleConnection] = []
        kept.reserveCapacity(count)
        let maker = try ConnectionMaker(.aes128GCM, credentials)
        _ = try maker.usedServer()
        let before = allocations_heap_in_use()
        for _ in 0..<count {
            kept.append(IdleConnection(try maker.usedServer()))
        }
        let after = allocations_heap_in_use()
        return withExtendedLifetime(kept) { Double(after - before) / Double(count) }
    }

    private static func idleRivals(_ credentials: Credentials) throws -> Double {
        guard let idle = rival_idle_prepare(credentials.certificate, credentials.key, count + 1) else {
            throw BenchmarkError("OpenSSL made no context")
        }
        defer { rival_idle_free(idle) }
        guard rival_idle_add(idle) == 1 else { throw BenchmarkError("OpenSSL made no connection") }
        let before = allocations_heap_in_use()
        for _ in 0..<count {
            guard rival_idle_add(idle) == 1 else { throw BenchmarkError("OpenSSL made no connection") }
        }
        return Double(allocations_heap_in_use() - before) / Double(count)
    }
}
