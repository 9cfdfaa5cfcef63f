import BatonConfiguration
import BatonServer
import HostLab
import HostMigration
import StockPeers
import Testing

extension DrainTests {
    @Suite("refuses, and leaves every connection where it is,")
    struct RefusalTests {
        @Test("a peer that shows a name which is not configured")
        func unknownPeer() async throws {
            var options = Host.Options()
            options.peerName = "c.example"
            // B knows c.example alone, and A shows a.example.
            let hosts = try await Hosts(b: options)
            try await staysAtA(hosts)
            try hosts.b.log("names no peer of this one")
        }

        @Test("to give a connection to a host that shows another name")
        func wrongHost() async throws {
            var options = Host.Options()
            options.name = "c.example"
            try await staysAtA(try await Hosts(b: options))
        }

        @Test("a peer whose certificate somebody else has signed")
        func stranger() async throws {
            var options = Host.Options()
            options.authority = HostCredentials.stranger
            let hosts = try await Hosts(a: options)
            try await staysAtA(hosts)
            try hosts.b.log("cannot be verified")
        }

        @Test("to restore a connection on an address that is not among its service addresses")
        func addressNotConfigured() async throws {
            var options = Host.Options()
            options.addresses = ["2001:db8::100"]
            let hosts = try await Hosts(b: options)
            let crowd = try Clients.crowd(4)
            try crowd.expect("READY 0 failed")
            let report = try hosts.a.drain()
            // Those over IPv6 move; the address of the rest is refused, too, and stays.
            #expect(report.moved == 2 && report.stayed.values.reduce(0, +) == 2, "\(report)")
            #expect(report.stayed.keys.allSatisfy { $0.contains("migration.addresses") }, "\(report)")
            #expect(!report.isComplete && report.addresses.isEmpty && report.failure != nil, "\(report)")
            try crowd.endInput()
            try crowd.expect("WHOLE 4 of 4")
        }

        @Test("a connection whose address this host does not carry")
        func addressNotCarried() async throws {
            // Nor does it come to carry it when it is to take the service addresses.
            var options = Host.Options()
            options.migration = "  take-command: /bin/false\n"
            let hosts = try await Hosts(b: options)
            let crowd = try Clients.crowd(4)
            try crowd.expect("READY 0 failed")
            try address("del")
            let report = try hosts.a.drain()
            try address("add")
            #expect(report.addresses.isEmpty && report.failure != nil, "\(report)")
            #expect(report.stayed.keys.contains { $0.contains("does not carry") }, "\(report)")
            try crowd.endInput()
            try crowd.expect("WHOLE 4 of 4")
        }

        @Test("a host whose kernel has another setting for TCP timestamps")
        func otherSetting() async throws {
            let hosts = try await Hosts()
            let crowd = try Clients.crowd(4)
            try crowd.expect("READY 0 failed")
            try setting("net.ipv4.tcp_timestamps=0")
            defer { try? setting("net.ipv4.tcp_timestamps=1") }
            let report = try hosts.a.drain()
            #expect(report.moved == 0 && report.stayed.keys.contains { $0.contains("tcp_timestamps") }, "\(report)")
            try crowd.endInput()
            try crowd.expect("WHOLE 4 of 4")
        }

        @Test("a peer that is not in the configuration")
        func notConfigured() async throws {
            let hosts = try await Hosts()
            let unknown = try PeerProcess(
                [try BuiltProgram.path("baton"), "drain", "--control", hosts.a.control, "--to", "nobody"])
            try unknown.expect("there is no peers.nobody")
        }

        @Test("a peer that is being drained itself")
        func peerLeaves() async throws {
            let hosts = try await Hosts(a: .linked(.a), b: .linked(.b))
            let (own, others) = (try LinkProxy(at: .a), try LinkProxy(at: .b))
            let population = try Population(4)
            // B's drain has begun and has not reached A yet.
            try others.hold(after: 0)
            let drain = try hosts.b.startDrain()
            try others.awaitHold()
            try refuses(hosts.a, "the other host takes no connections now")
            try others.free()
            try drain.expect(nil)
            try stays(hosts, population)
            withExtendedLifetime(own) {}
        }

        @Test("to be drained while connections come to it, and to be drained twice at a time")
        func takes() async throws {
            let hosts = try await Hosts(a: .linked(.a), b: .linked(.b))
            let (own, others) = (try LinkProxy(at: .a), try LinkProxy(at: .b))
            let population = try Population(4)
            // B has been greeted, and its answer is on the way.
            try own.hold(after: 3)
            let drain = try hosts.a.startDrain()
            try own.awaitHold()
            try refuses(hosts.b, "connections are coming from another host")
            try refuses(hosts.a, "the server is being drained")
            #expect(try population.alive() == 4)
            try own.free()
            let report = try Host.report(of: drain)
            #expect(report.isComplete && report.moved == 4, "\(report)")
            #expect(try population.alive() == 4)
            withExtendedLifetime(others) {}
        }

        private func refuses(_ host: Host, _ why: String) throws {
            let drain = try host.startDrain()
            try drain.expect(nil)
            #expect(drain.text.contains(why) && drain.text.split(separator: "\n").count == 1, "\(drain.text)")
        }

        private func stays(_ hosts: Hosts, _ population: Population) throws {
            #expect(try population.alive() == population.count)
            _ = try hosts.a.waitUntil { $0.connections == population.count }
            _ = try hosts.b.waitUntil { $0.connections == 0 }
        }

        private func setting(_ text: String) throws {
            let process = try PeerProcess(Host.inside(.b) + ["sysctl", "-qw", text])
            try process.expect(nil)
        }

        private func address(_ verb: String) throws {
            let process = try PeerProcess(Host.inside(.b) + ["ip", "addr", verb, "192.0.2.100/32", "dev", "lo"])
            try process.expect(nil)
        }

        /// Drains A, in vain.
        private func staysAtA(_ hosts: Hosts) async throws {
            let crowd = try Clients.crowd(4)
            try crowd.expect("READY 0 failed")
            try hosts.a.waitUntil { $0.connections == 4 }
            #expect(throws: WireError.self) { try hosts.a.drain() }
            _ = try hosts.a.waitUntil { $0.connections == 4 }
            _ = try hosts.b.waitUntil { $0.connections == 0 }
            try crowd.endInput()
            try crowd.expect("WHOLE 4 of 4")
        }
    }
}
