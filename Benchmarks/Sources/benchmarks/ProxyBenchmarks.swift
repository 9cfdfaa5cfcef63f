import Foundation

/// `baton serve` beside haproxy, hitch and nginx's stream module: one worker or thread each, on the same processor, in front of the same nginx, by
/// turns.
struct ProxyBenchmarks {
    private static let rounds = 5
    private static let seconds = 3

    static func all() -> [Benchmark] {
        [
            Benchmark("proxy requests") { try requests() },
            Benchmark("proxy bulk") { try bulk() },
            Benchmark("proxy idle memory") { try idleMemory() },
            Benchmark("proxy handshakes") { try handshakes() },
        ]
    }

    /// Small requests over connections that are kept.
    private static func requests() throws -> [Row] {
        let measured = try load(path: "/", connections: 32) {
            try figure("Requests/sec:", in: $0)
        }
        return measured.flatMap { rival, rate, baton, cost, batonCost in
            [
                Row(
                    "proxy requests/s, beside \(rival)", unit: "1/s", isRate: true, baton,
                    rival: .init(name: rival.rawValue, spread: rate), aim: rival == .haproxy ? .timesAsMany(1) : nil),
                Row(
                    "proxy CPU/request, beside \(rival)", unit: "µs", batonCost.scaled(1_000_000),
                    rival: .init(name: rival.rawValue, spread: cost.scaled(1_000_000)),
                    aim: rival == .haproxy ? .timesAsFast(1.1) : rival == .hitch ? .timesAsLong(1) : nil),
            ]
        }
    }

    /// 8 MiB a response, from the upstream to the client.
    private static func bulk() throws -> [Row] {
        let measured = try load(path: "/bulk", connections: 4) {
            try figure("Transfer/sec:", in: $0)
        }
        return measured.flatMap { rival, rate, baton, cost, batonCost in
            [
                Row(
                    "proxy bulk, beside \(rival)", unit: "MiB/s", isRate: true, baton,
                    rival: .init(name: rival.rawValue, spread: rate)),
                Row(
                    "proxy CPU/MiB, beside \(rival)", unit: "ms", batonCost.scaled(1_000),
                    rival: .init(name: rival.rawValue, spread: cost.scaled(1_000)),
                    aim: rival == .hitch ? .timesAsLong(1) : nil),
            ]
        }
    }

    private typealias Comparison = (rival: Proxy.Kind, rate: Spread, baton: Spread, cost: Spread, batonCost: Spread)

    private static func load(
        path: String, connections: Int, _ read: (String) throws -> Double
    ) throws -> [Comparison] {
        let files = try ProxyFiles()
        let upstream = try files.upstream()
        let proxies = try Proxy.Kind.allCases.map { try Proxy($0, upstream: upstream.port, in: files) }
        var rates: [Proxy.Kind: [Double]] = [:]
        var costs: [Proxy.Kind: [Double]] = [:]
        for round in 0...rounds {
            for proxy in proxies {
                let before = proxy.program.processorTime
                let started = ContinuousClock.now
                let wrk = try Program(
                    ["wrk", "-t", "1", "-c", "\(connections)", "-d", "\(seconds)", "--timeout", "30"]
                        + ["https://127.0.0.1:\(proxy.port)\(path)"], core: 0, isHeard: true)
                let text = try wrk.text()
                guard !text.contains("Socket errors") else { throw BenchmarkError("\(proxy.kind): \(text)") }
                let rate = try read(text)
                let elapsed = Double((ContinuousClock.now - started) / .milliseconds(1)) / 1_000
                // The first round warms up.
                guard round > 0 else { continue }
                rates[proxy.kind, default: []].append(rate)
                costs[proxy.kind, default: []].append((proxy.program.processorTime - before) / (rate * elapsed))
            }
        }
        return withExtendedLifetime(upstream.program) {
            Proxy.Kind.rivals.map { rival in
                (
                    rival, Spread(rates[rival] ?? []), Spread(rates[.baton] ?? []), Spread(costs[rival] ?? []),
                    Spread(costs[.baton] ?? [])
                )
            }
        }
    }

    /// What a thousand idle connections add to the memory of a proxy's processes, and those processes in all.
    private static func idleMemory() throws -> [Row] {
        let count = 1_000
        let files = try ProxyFiles()
        let upstream = try files.upstream()
        var added: [Proxy.Kind: [Double]] = [:]
        var whole: [Proxy.Kind: [Double]] = [:]
        for _ in 0..<2 {
            for kind in Proxy.Kind.allCases {
                let proxy = try Proxy(kind, upstream: upstream.port, in: files)
                // What a process makes once, with its first connection, is in the other figure.
                let first = try IdleClients(port: proxy.port, count: 1)
                let before = proxy.program.memory
                let clients = try IdleClients(port: proxy.port, count: count)
                // Whoever gives memory of idle connections back does it in that time.
                sleep(12)
                let after = withExtendedLifetime((first, clients)) { proxy.program.memory }
                added[kind, default: []].append((after - before) / Double(count) / 1_024)
                whole[kind, default: []].append(after / 1_048_576)
            }
        }
        return withExtendedLifetime(upstream.program) {
            Proxy.Kind.rivals.flatMap { rival in
                [
                    Row(
                        "idle proxied connection, beside \(rival)", unit: "KiB", Spread(added[.baton] ?? []),
                        rival: .init(name: rival.rawValue, spread: Spread(added[rival] ?? [])), aim: .atMost(4)),
                    Row(
                        "1,000 idle ones in all, beside \(rival)", unit: "MiB", Spread(whole[.baton] ?? []),
                        rival: .init(name: rival.rawValue, spread: Spread(whole[rival] ?? []))),
                ]
            }
        }
    }

    /// What a handshake with the connection it is for costs, the session new or resumed from a ticket, one after another.
    private static func handshakes() throws -> [Row] {
        let files = try ProxyFiles()
        let upstream = try files.upstream()
        let proxies = try Proxy.Kind.allCases.map { try Proxy($0, upstream: upstream.port, in: files) }
        var rows: [Row] = []
        for (name, flag) in [("new", "-new"), ("resumed", "-reuse")] {
            var costs: [Proxy.Kind: [Double]] = [:]
            var rates: [Proxy.Kind: [Double]] = [:]
            for round in 0...rounds {
                for proxy in proxies {
                    let before = proxy.program.processorTime
                    // s_time reads the answer, and with it the tickets.
                    let text = try Program(
                        ["openssl", "s_time", "-connect", "127.0.0.1:\(proxy.port)", flag]
                            + ["-time", "\(seconds)", "-www", "/", "-tls1_3"], core: 0, isHeard: true
                    ).text()
                    guard let line = text.split(separator: "\n").last(where: { $0.contains("real seconds") }),
                        let count = line.split(separator: " ").first.flatMap({ Double($0) }), count > 0
                    else { throw BenchmarkError("\(proxy.kind): \(text)") }
                    guard round > 0 else { continue }
                    costs[proxy.kind, default: []].append((proxy.program.processorTime - before) / count)
                    rates[proxy.kind, default: []].append(count / Double(seconds))
                }
            }
            for rival in Proxy.Kind.rivals {
                rows += [
                    Row(
                        "handshakes/s, \(name), beside \(rival)", unit: "1/s", isRate: true,
                        Spread(rates[.baton] ?? []),
                        rival: .init(name: rival.rawValue, spread: Spread(rates[rival] ?? []))),
                    Row(
                        "CPU/handshake, \(name), beside \(rival)", unit: "µs",
                        Spread(costs[.baton] ?? []).scaled(1_000_000),
                        rival: .init(
                            name: rival.rawValue, spread: Spread(costs[rival] ?? []).scaled(1_000_000))),
                ]
            }
        }
        return withExtendedLifetime(upstream.program) { rows }
    }

    /// The number that wrk prints behind `words`; sizes in MiB.
    private static func figure(_ words: String, in text: String) throws -> Double {
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix(words) }),
            let word = line.split(separator: " ").last
        else { throw BenchmarkError("wrk did not print '\(words)': \(text)") }
        let units: [(String, Double)] = [("KB", 1 / 1_024), ("MB", 1), ("GB", 1_024), ("B", 1 / 1_048_576), ("", 1)]
        for (unit, factor) in units where word.hasSuffix(unit) {
            if let value = Double(word.dropLast(unit.count)) { return value * factor }
        }
        throw BenchmarkError("wrk printed \(line)")
    }
}
