import TLSRecords

/// Sealing and opening records: time and heap allocations, beside OpenSSL.
struct RecordBenchmarks {
    private struct Case {
        let suite: CipherSuite
        let label: String
        let size: Int
    }

    private static let cases = [
        Case(suite: .aes128GCM, label: "AES-128-GCM", size: 64),
        Case(suite: .aes128GCM, label: "AES-128-GCM", size: 1_400),
        Case(suite: .aes128GCM, label: "AES-128-GCM", size: 16_384),
        Case(suite: .aes256GCM, label: "AES-256-GCM", size: 16_384),
        Case(suite: .chaCha20Poly1305, label: "ChaCha20", size: 16_384),
    ]

    static func all(_ credentials: Credentials) -> [Benchmark] {
        cases.flatMap { example in
            let name = "\(example.label) \(example.size) B"
            return [
                Benchmark("seal \(name)") { try seal(example, named: "seal \(name)", credentials) },
                Benchmark("open \(name)") { try open(example, named: "open \(name)", credentials) },
            ]
        }
            + cases.prefix(3).map { example in
                let name = "open \(example.size) B, copied out"
                return Benchmark(name) { try open(example, named: name, copyingOut: true, credentials) }
            } + [Benchmark("allocations per record") { try allocations(credentials) }]
    }

    /// A round takes about two milliseconds.
    private static func recordsPerRound(_ size: Int) -> Int { max(64, 500_000 / (size + 400)) }

    private static func seal(_ example: Case, named name: String, _ credentials: Credentials) throws -> [Row] {
        let count = recordsPerRound(example.size)
        var baton = try BatonRecords(example.suite, credentials, size: example.size, count: count)
        let rival = try RivalRecords(example.suite.description, credentials, size: example.size, count: count)
        let measured = try Alternation.measure({ try baton.seal() }, { try rival.seal() })
        return [
            Row(
                name, unit: "ns", measured.first, rival: .init(name: "SSL_write", spread: measured.second),
                aim: .timesAsFast(1.2))
        ]
    }

    private static func open(
        _ example: Case, named name: String, copyingOut: Bool = false, _ credentials: Credentials
    ) throws -> [Row] {
        let count = recordsPerRound(example.size)
        var baton = try BatonRecords(example.suite, credentials, size: example.size, count: count)
        let rival = try RivalRecords(example.suite.description, credentials, size: example.size, count: count)
        let measured = try Alternation.measure({ try baton.open(copyingOut: copyingOut) }, { try rival.open() })
        return [
            Row(
                name, unit: "ns", measured.first, rival: .init(name: "SSL_read", spread: measured.second),
                aim: copyingOut ? nil : .timesAsFast(1.2))
        ]
    }

    private static func allocations(_ credentials: Credentials) throws -> [Row] {
        var baton = try BatonRecords(.aes128GCM, credentials, size: 1_400, count: 1_000)
        let rival = try RivalRecords(CipherSuite.aes128GCM.description, credentials, size: 1_400, count: 1_000)
        let opening = try Alternation.measure(
            rounds: 3, { try baton.openingAllocations() }, { try rival.openingAllocations() })
        let sealing = try Alternation.measure(
            rounds: 3, { try baton.sealingAllocations() }, { try rival.sealingAllocations() })
        return [
            Row(
                "heap allocations per record sealed", unit: "count", sealing.first,
                rival: .init(name: "SSL_write", spread: sealing.second), aim: .atMost(0)),
            Row(
                "heap allocations per record opened", unit: "count", opening.first,
                rival: .init(name: "SSL_read", spread: opening.second), aim: .atMost(0)),
        ]
    }
}
