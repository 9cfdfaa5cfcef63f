import BatonConfiguration
import BatonServer
import HostLab
import HostMigration
import StockPeers
import Testing

extension DrainTests {
    /// The link passes through a `LinkProxy` at each host. A piece of it is a message, or some that were sent together:
    /// the handshake's, then those of docs/drain.md, and in the relayed ones those of the batch protocol.
    @Suite("over a link that fails")
    struct CutLinkTests {
        private static let count = 6
        /// The pieces of the handshake and the greetings.
        private static let greetings = 4

        @Test(
            "cut behind each piece, or in its midst: each connection is on one host or given up, the next drain completes",
            arguments: [nil, "198.51.100.4:7000"])
        func everyPiece(upstream: String?) async throws {
            let backend = try upstream.map { _ in try Clients.backendEcho() }
            defer { withExtendedLifetime(backend) {} }
            let (hosts, links) = try await Self.linked(upstream)
            let population = try Population(Self.count)
            try links[.a]!.free()
            let whole = try hosts.a.drain()
            #expect(whole.isComplete && whole.moved == Self.count, "\(whole)")
            let pieces = try links[.a]!.pieces()
            // Greetings, a batch, its answer, its commit, newcomers, addresses and good-bye: each passes by itself.
            #expect(pieces.count >= 12, "\(pieces)")
            var from = Lab.Role.b
            for piece in (upstream == nil ? 0 : Self.greetings)..<min(pieces.count, 40) {
                // The whole of one and the half of another, in turn; and the other way round with a backend.
                let half = (piece % 2 == 0) == (upstream == nil)
                try links[from]!.cut(after: piece, half: half)
                let outcome = Result { try hosts[from].drain() }
                try links[from]!.free()
                try Self.verify(outcome, hosts, from, population, "cut behind \(piece) of \(pieces), half \(half)")
                try await Self.complete(hosts, from, population)
                from = hosts[from].other
            }
        }

        /// Four pieces are the handshake and the greetings; then come the parcels, the offer and its answer, the commit.
        @Test("silent about the offer, or about the commit: as if it were cut", arguments: [6, 9])
        func silent(piece: Int) async throws {
            let (hosts, links) = try await Self.linked(nil)
            let population = try Population(Self.count)
            try links[.a]!.hold(after: piece)
            let drain = try hosts.a.startDrain()
            try links[.a]!.awaitHold()
            try Self.silence(true)
            let outcome = Result { try Host.report(of: drain) }
            try Self.silence(false)
            try links[.a]!.free()
            try Self.verify(outcome, hosts, .a, population, "silent behind \(piece)")
            try await Self.complete(hosts, .a, population)
        }

        // MARK: Steps

        private static func linked(_ upstream: String?) async throws -> (Hosts, [Lab.Role: LinkProxy]) {
            let (a, b) = (Host.Options.linked(.a, upstream), Host.Options.linked(.b, upstream))
            let hosts = try await Hosts(a: a, b: b)
            return (hosts, [.a: try LinkProxy(at: .a), .b: try LinkProxy(at: .b)])
        }

        /// Whether the report, both hosts and the clients agree on what became of every connection.
        private static func verify(
            _ outcome: Result<DrainReport, any Error>, _ hosts: Hosts, _ from: Lab.Role, _ population: Population,
            _ circumstances: String
        ) throws {
            let (source, target) = (hosts[from], hosts[hosts[from].other])
            let alive = try population.alive()
            guard case .success(let report) = outcome else {
                // Refused: nothing has happened.
                #expect(alive == count, "\(circumstances): \(outcome)")
                try source.waitUntil { $0.connections == count }
                try target.waitUntil { $0.connections == 0 }
                return
            }
            let givenUp = report.inDoubt + report.lost
            #expect(count - alive <= givenUp, "\(alive) alive, \(circumstances): \(report)")
            try source.waitUntil { $0.connections == count - report.moved - givenUp }
            try target.waitUntil { $0.connections == alive - (count - report.moved - givenUp) }
            #expect(
                (report.moved...report.moved + report.inDoubt).contains(try target.status().connections), "\(report)")
            #expect(report.stayed.values.reduce(0, +) <= count - report.moved - givenUp, "\(circumstances): \(report)")
            #expect(!report.isComplete || report.moved == count && report.failure == nil, "\(report)")
        }

        /// New connections are accepted, and a drain without a fault brings all to the other host.
        private static func complete(_ hosts: Hosts, _ from: Lab.Role, _ population: Population) async throws {
            // Where the answer to the move of the addresses was lost both hosts have them until the next drain, and a
            // connection that begins can be reset by the one that clients turn to meanwhile.
            let (target, isPlain) = (hosts[from].other, try await Hosts.serviceAddresses(of: hosts[from].other).isEmpty)
            if isPlain { try population.renew() }
            let report = try hosts[from].drainOnceTaken()
            #expect(report.isComplete, "\(report)")
            if !isPlain { try population.renew() }
            #expect(try population.alive() == count)
            try hosts[target].waitUntil { $0.connections == count }
            _ = try hosts[from].waitUntil { $0.connections == 0 }
            #expect(try await Hosts.serviceAddresses(of: from) == [])
            #expect(try await Hosts.serviceAddresses(of: target).count == 4)
        }

        /// Drops whatever passes the proxy of A, both ways, or no longer.
        private static func silence(_ isSilent: Bool) throws {
            let table = "inet drain-silence"
            let commands =
                isSilent
                ? "add table \(table); add chain \(table) in { type filter hook input priority 0; }; "
                    + "add rule \(table) in tcp dport { 9440, 9441 } drop; add rule \(table) in tcp sport { 9440, 9441 } drop"
                : "add table \(table); delete table \(table)"
            let process = try PeerProcess(Host.inside(.a) + ["nft", commands])
            try process.expect(nil)
        }
    }
}

extension Host.Options {
    /// A host that reaches its peer through a `LinkProxy` of its own.
    static func linked(_ role: Lab.Role, _ upstream: String? = nil) -> Host.Options {
        var options = Host.Options()
        options.peerAddress = LinkProxy.address(at: role)
        options.upstream = upstream
        return options
    }
}
