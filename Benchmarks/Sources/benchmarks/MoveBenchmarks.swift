import TLSRecords

/// Suspending and resuming without I/O.
struct MoveBenchmarks {
    static func all(_ credentials: Credentials) -> [Benchmark] {
        [Benchmark("suspend resume") { try suspendAndResume(credentials) }]
    }

    private static func suspendAndResume(_ credentials: Credentials) throws -> [Row] {
        let connections = try MovingConnections(ConnectedPair(.aes128GCM, credentials), count: 200)
        var suspending: [Double] = []
        var resuming: [Double] = []
        var starting: [Double] = []
        for round in 0..<102 {
            try connections.prepare()
            let suspended = connections.suspendAll()
            let resumed = try connections.resumeAll()
            let started = try connections.workAll()
            guard round > 0 else { continue }
            suspending.append(suspended / 1_000)
            resuming.append(resumed / 1_000)
            starting.append(started / 1_000)
        }
        return [
            Row("suspend to bytes", unit: "µs", Spread(suspending), aim: .atMost(1.5)),
            Row("resume from bytes", unit: "µs", Spread(resuming), aim: .atMost(5)),
            Row("first record each way after resume", unit: "µs", Spread(starting)),
        ]
    }
}
