import BatonConfiguration
import BatonServer
import Foundation
import StockPeers
import Testing

/// What a server has of its machine: descriptors and memory.
@Suite("Resources of a server", .serialized, .timeLimit(.minutes(20)))
struct ResourceTests {
    /// `make soak` has ten thousand relays and a hundred deaths.
    private static let isSoak = WorkerDeathTests.soakDeaths != nil
    /// How many relays there are at a time, beside those that stay.
    private static let width = 8
    private static let stay = 20

    @Test("are what they were when thousands of relays have come and gone, and dozens of workers have died meanwhile")
    func comeAndGo() throws {
        let (visits, deaths) = Self.isSoak ? (10_000, 100) : (3_000, 30)
        let files = try TemporaryFiles()
        let upstream = try Clients.upstream()
        defer { withExtendedLifetime(upstream.process) {} }
        let configuration = try files.write(
            """
            listeners:
              default: {address: "127.0.0.1:0"}
              open: {address: "127.0.0.1:0", tls: false}
            upstreams:
              far: {addresses: ["127.0.0.1:\(upstream.port)"]}
            routes:
              all: {target: far}
            """, "resources.yaml")
        let server = try Server(["--config", configuration, "--limits.handshake-time", "5m"])
        let ports = try ["default", "open"].map(server.port)
        let crowd = try IdleCrowd(port: ports[0], count: Self.stay)
        let visitors = try PeerProcess(
            ["python3", "-c", Self.visitorText, "\(ports[0])", "\(ports[1])", "\(Self.width)"])
        // What a process takes once.
        try visitors.send("visit 400\n")
        try visitors.expectNext("VISITED")
        try server.killWorker()
        let before = try usage(of: server)

        try visitors.send("visit \(visits)\n")
        for _ in 1...deaths {
            try server.killWorker()
            try visitors.expectNext("PASSED \(visits / deaths / 2)\n")
        }
        try visitors.expectNext("VISITED")
        try crowd.check()
        // One that was beginning when its worker died is cut off.
        let failed = visitors.text.components(separatedBy: "CUT OFF ").count - 1
        #expect(failed <= deaths * Self.width, "\(visitors.text.suffix(1_000))")
        #expect(!visitors.text.contains("DIFFERENT"))
        #expect(try server.waitUntil { $0.connections == Self.stay }.deaths == .init(front: 0, workers: deaths + 1))

        // What is over is let go of a moment later.
        var after = try usage(of: server)
        let deadline = ContinuousClock.now + .seconds(60)
        while !after.isAbout(before), ContinuousClock.now < deadline {
            sched_yield()
            after = try usage(of: server)
        }
        #expect(after.isAbout(before), "before: \(before); after: \(after)")
        print("\(visits) relays, \(failed) cut off, \(deaths) deaths; before: \(before); after: \(after)")
    }

    /// Of the keeper, the front and all workers.
    private struct Usage: CustomStringConvertible {
        var descriptors: [String: Int] = [:]
        /// KiB that are resident.
        var memory: [String: Int] = [:]
        /// Memory that outlives workers, and how many KiB of it are in use.
        var arenas = 0
        var arenaMemory = 0

        func isAbout(_ other: Usage) -> Bool {
            descriptors.allSatisfy { $1 <= other.descriptors[$0, default: 0] + 12 }
                && memory.allSatisfy { $1 <= other.memory[$0, default: 0] + 64 << 10 }
                && arenas <= other.arenas + 4 && arenaMemory <= other.arenaMemory + 16 << 10
        }

        var description: String {
            "descriptors \(descriptors), KiB \(memory), \(arenas) arenas with \(arenaMemory) KiB"
        }
    }

    private func usage(of server: Server) throws -> Usage {
        let report = try server.waitUntil { $0.workers.count == 2 && $0.workers.allSatisfy { $0.state == "ready" } }
        var usage = Usage()
        for (kind, pids) in [
            ("keeper", [report.pid]), ("front", [report.front]), ("workers", report.workers.map(\.pid)),
        ] {
            for pid in pids {
                let folder = "/proc/\(pid)/fd"
                let open = try FileManager.default.contentsOfDirectory(atPath: folder)
                usage.descriptors[kind, default: 0] += open.count
                let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
                let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
                usage.memory[kind, default: 0] +=
                    line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0
                guard kind == "keeper" else { continue }
                for name in open {
                    let path = "\(folder)/\(name)"
                    let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path)
                    guard target?.hasPrefix("/memfd:") == true else { continue }
                    // Not stat(2): which C module has its struct depends on what is compiled along.
                    let blocks = try PeerProcess(["stat", "-L", "-c", "BLOCKS %b ", path])
                    usage.arenas += 1
                    usage.arenaMemory += ((try? blocks.number(behind: "BLOCKS ")) ?? 0) / 2
                }
            }
        }
        return usage
    }

    /// Connects, says something, reads it back and ends, again and again, nine times of ten without TLS.
    private static let visitorText = """
        import asyncio, os, ssl, sys
        secure, plain, width = (int(n) for n in sys.argv[1:])
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        passed = 0
        async def visit(number):
            isSecure = number % 10 == 0
            piece = os.urandom(1 + os.urandom(1)[0] * 131)
            reader, writer = await asyncio.open_connection(
                '127.0.0.1', secure if isSecure else plain, ssl=context if isSecure else None)
            try:
                writer.write(piece)
                if await reader.readexactly(len(piece)) != piece: print('DIFFERENT', flush=True)
            finally:
                writer.close()
                try: await writer.wait_closed()
                except OSError: pass
        async def visitor(count):
            global passed
            for _ in range(count):
                try: await asyncio.wait_for(visit(passed), 60)
                except (OSError, EOFError, asyncio.TimeoutError) as error:
                    print('CUT OFF', repr(error), flush=True)
                passed += 1
                if passed % 50 == 0: print('PASSED 50', flush=True)
        async def run():
            loop = asyncio.get_running_loop()
            while words := (await loop.run_in_executor(None, sys.stdin.readline)).split():
                await asyncio.gather(*(visitor(int(words[1]) // width) for _ in range(width)))
                print('VISITED', flush=True)
        asyncio.run(run())
        """
}
