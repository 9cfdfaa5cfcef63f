import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

extension SoakTests {
    @Suite(.serialized, .timeLimit(.minutes(10)))
    struct LoadTests {
        /// A machine that does something else at the same time is no reason to give a client up.
        private static let patient = ["--limits.handshake-time", "5m"]

        @Test(
            "no request fails and no connect is refused while a loaded server is upgraded ten times",
            arguments: [true, false])
        func requests(isKeptAlive: Bool) throws {
            let nginx = try NginxUpstream(http2: false)
            let server = try Server(["--upstream", "127.0.0.1:\(nginx.port)"] + Self.patient)
            let load = try PeerProcess(
                // A child inherits the blocked signals of the thread it was started from, and wrk is to hear SIGINT.
                [
                    "python3", "-c",
                    "import os, signal, sys; signal.pthread_sigmask(signal.SIG_SETMASK, []); os.execvp('wrk', sys.argv[1:])",
                ]
                    + ["wrk", "-t", "1", "-c", "16", "-d", "600", "--timeout", "60"]
                    + (isKeptAlive ? [] : ["-H", "Connection: close"]) + ["https://127.0.0.1:\(server.port)/"])
            _ = try server.waitUntil { $0.connections > 0 }
            for _ in 0..<10 { try server.upgrade() }
            kill(load.processID, SIGINT)
            try load.expect(nil)
            #expect(!load.text.contains("Socket errors") && !load.text.contains("Non-2xx"), "\(load.text)")
            #expect(load.text.contains("requests in"), "\(load.text)")
        }

        @Test("a thousand connections, most of them idle, work after two upgrades")
        func thousand() throws {
            let server = try Server(["--upstream", "echo"] + Self.patient)
            let crowd = try IdleCrowd(port: server.port, count: 980)
            let busy = try Clients.exchange(server.port, connections: 20)
            _ = try server.waitUntil { $0.connections == 1_000 }
            for _ in 0..<2 {
                let before = try server.memory()
                let report = try server.upgrade()
                #expect(report.connections >= 1_000 && report.failed == 0)
                let after = try server.status()
                print(
                    "1,000 connections: upgraded in \(report.durationMilliseconds) ms,",
                    "pauses p50 \(after.pause.p50) µs, p99 \(after.pause.p99) µs, max \(after.pause.max) µs,",
                    "all processes \(before >> 20) MiB before, \(try server.memory() >> 20) MiB after")
                try crowd.check()
            }
            #expect(try server.waitUntil { $0.connections == 1_000 }.moves.failed == 0)
            try busy.endInput()
            try busy.expect("WHOLE 20 of 20")
        }

        @Test(
            "what megabytes wait for a peer that never reads come intact, after five upgrades",
            arguments: ["16K", "4M"])
        func neverReads(buffer: String) throws {
            let peer = try StallingPeer()
            let server = try Server(
                ["--upstream", "127.0.0.1:\(peer.upstreamPort)", "--limits.buffer-size", buffer] + Self.patient)
            let pending = try peer.stall(port: server.port, connections: 2, size: 32 << 20)
            #expect(pending > 4 << 20)
            for _ in 0..<5 { try server.upgrade() }
            let status = try server.waitUntil { $0.connections == 2 }
            #expect(status.moves.failed == 0)
            try peer.readAll()
        }

        @Test("a session half of which is closed goes on through five upgrades", arguments: ["client", "upstream"])
        func halfClosed(first: String) throws {
            let peer = try HalfClosingPeer(first)
            let server = try Server(
                ["--upstream", "127.0.0.1:\(peer.upstreamPort)", "--listeners.default.tls", "false"] + Self.patient)
            try peer.halfClose(port: server.port)
            for _ in 0..<5 {
                try server.upgrade()
                try peer.sayOneWay()
            }
            #expect(try server.waitUntil { $0.connections == 1 }.moves.failed == 0)
            try peer.closeOther()
            _ = try server.waitUntil { $0.connections == 0 }
        }

        @Test("slow readers never make memory grow beyond the bound of each connection")
        func bounded() throws {
            let peer = try StallingPeer()
            let server = try Server(
                ["--upstream", "127.0.0.1:\(peer.upstreamPort)", "--limits.buffer-size", "256K"] + Self.patient)
            let count = 24
            let before = try server.memory()
            // Some 30 MiB for each of the connections want to come through.
            _ = try peer.stall(port: server.port, connections: count, size: 16 << 20)
            let grown = try server.memory() - before
            // The buffers of both directions; as much again for records under way, and what a process takes in its course.
            #expect(grown < count * 4 * (256 << 10) + (24 << 20), "\(grown >> 20) MiB")
            try server.upgrade()
            try peer.readAll()
        }
    }
}

extension Server {
    /// Memory of all its processes in bytes, shared pages shared out.
    fileprivate func memory() throws -> Int {
        let report = try status()
        return try ([report.pid, report.front] + report.workers.map(\.pid)).reduce(0) { sum, pid in
            let rollup = try String(contentsOfFile: "/proc/\(pid)/smaps_rollup", encoding: .utf8)
            let line = rollup.split(separator: "\n").first { $0.hasPrefix("Pss:") }
            return sum + (line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) << 10
        }
    }
}
