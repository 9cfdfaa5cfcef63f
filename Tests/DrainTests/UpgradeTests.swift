import BatonConfiguration
import BatonServer
import Foundation
import HostLab
import StockPeers
import Testing

extension DrainTests {
    @Suite("and upgrades")
    struct UpgradeTests {
        @Test("the host that has taken connections is upgraded, and the one that forwards: all go on, and come back")
        func betweenDrains() async throws {
            let backend = try Clients.backendEcho()
            defer { withExtendedLifetime(backend) {} }
            var options = Host.Options()
            options.upstream = "198.51.100.4:7000"
            let hosts = try await Hosts(a: options, b: options)
            let population = try Population(12)
            for (source, target) in [(hosts.a, hosts.b), (hosts.b, hosts.a)] {
                let report = try source.drain()
                #expect(report.isComplete && report.moved == 12, "\(report)")
                for host in [target, source] {
                    let before = try host.status().frontPid
                    try host.upgrade()
                    #expect(try host.status().frontPid != before)
                    #expect(try population.alive() == 12)
                }
                _ = try source.waitUntil { $0.connections == 0 }
                try target.waitUntil { $0.connections == 12 }
                try population.renew()
            }
            // What was counted before an upgrade is not forgotten.
            _ = try hosts.a.waitUntil { $0.moves.migration >= 24 }
        }

        @Test("new connections come at every moment of drains and upgrades, and none fails")
        func newcomers() async throws {
            let hosts = try await Hosts()
            let visitors = try Clients.visitors()
            try visitors.expect("VISIT 3\n")
            for role in [Lab.Role.a, .b] {
                // Often nothing has moved: all that is forwarded has begun since.
                let report = try hosts[role].drain()
                #expect(report.isComplete, "\(report)")
                try hosts[role].upgrade()
                try hosts[hosts[role].other].upgrade()
            }
            try visitors.endInput()
            try visitors.expect(nil)
            #expect(visitors.text.contains("NONE FAILED"), "\(visitors.text.suffix(500))")
        }

        @Test("an upgrade while connections leave is refused, with one line")
        func whileDraining() async throws {
            let hosts = try await Hosts(a: .linked(.a), b: .linked(.b))
            let link = try LinkProxy(at: .a)
            let population = try Population(6)
            try link.hold(after: 2)
            let drain = try hosts.a.startDrain()
            try link.awaitHold()
            let command = try PeerProcess([try BuiltProgram.path("baton"), "upgrade", "--control", hosts.a.control])
            try command.expect(nil)
            #expect(command.text.contains("connections are moving to another host"), "\(command.text)")
            #expect(command.text.split(separator: "\n").count == 1, "\(command.text)")
            try link.free()
            let report = try Host.report(of: drain)
            #expect(report.isComplete && report.moved == 6, "\(report)")
            #expect(try population.alive() == 6)
            try hosts.a.upgrade()
        }

        @Test("a drain while a new server starts is refused, with one line, and works when it has")
        func whileUpgrading() async throws {
            let hosts = try await Hosts()
            let population = try Population(6)
            let files = try TemporaryFiles()
            // Starts as late as it is told to.
            let (gate, started) = (files.path("gate"), files.path("started"))
            mkfifo(gate, 0o600)
            mkfifo(started, 0o600)
            let script = try files.write(
                "#!/bin/sh\necho > \(started)\nread word < \(gate)\nexec \(try BuiltProgram.path("baton")) \"$@\"\n",
                "baton")
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script)
            let upgrade = try PeerProcess(
                [try BuiltProgram.path("baton"), "upgrade", "--control", hosts.a.control, "--binary", script])
            let waiting = try PeerProcess(["cat", started])
            try waiting.expect(nil)
            let drain = try hosts.a.startDrain()
            try drain.expect(nil)
            #expect(drain.text.contains("the server is being drained, replaced or stopped already"), "\(drain.text)")
            #expect(drain.text.split(separator: "\n").count == 1, "\(drain.text)")
            let opening = try PeerProcess(["sh", "-c", "echo > \(gate)"])
            try opening.expect(nil)
            try upgrade.expect(nil)
            #expect(try population.alive() == 6)
            let report = try hosts.a.drain()
            #expect(report.isComplete && report.moved == 6, "\(report)")
            #expect(try population.alive() == 6)
        }

        @Test("an upgrade of the host that takes connections ends the drain between two batches: all are alive")
        func whileTaking() async throws {
            var slow = Host.Options()
            slow.migration = "  bandwidth: 64K\n"
            let hosts = try await Hosts(a: slow)
            let population = try Population(100)
            let drain = try hosts.a.startDrain()
            try hosts.b.waitUntil { $0.moves.migration > 0 }
            try hosts.b.upgrade()
            let report = try Host.report(of: drain)
            #expect(report.inDoubt == 0 && report.lost == 0, "\(report)")
            #expect(try population.alive() == 100)
            let again = try hosts.a.drainOnceTaken()
            #expect(again.isComplete && again.moved + report.moved == 100, "\(report) \(again)")
            #expect(try population.alive() == 100)
            try population.renew()
        }
    }
}
