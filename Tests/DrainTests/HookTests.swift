import BatonConfiguration
import BatonServer
import Foundation
import HostLab
import StockPeers
import Testing

extension DrainTests {
    /// `migration.take-command` and `leave-command`: programs that move an address instead of Baton.
    @Suite("with programs that move the addresses")
    struct HookTests {
        private static let addresses = ["192.0.2.100", "2001:db8::100", "198.51.100.100", "2001:db8:1::100"]

        @Test("runs them with each address, there and back; connections go on, and new ones come")
        func thereAndBack() async throws {
            let (a, b) = (try Hooks(), try Hooks())
            let hosts = try await Hosts(a: a.options, b: b.options)
            let population = try Population(6)
            for (source, from, to) in [(hosts.a, a, b), (hosts.b, b, a)] {
                let report = try source.drain()
                #expect(report.isComplete && report.moved == 6 && report.addresses.count == 4, "\(report)")
                #expect(try from.takeRecord() == Self.addresses.map { "leave \($0)" })
                #expect(try to.takeRecord() == Self.addresses.map { "take \($0)" })
                #expect(try await Hosts.serviceAddresses(of: source.role) == [])
                #expect(try await Hosts.serviceAddresses(of: source.other) == Self.addresses.sorted())
                // The programs have told nobody: the client asks.
                try Self.forgetNeighbours()
                #expect(try population.alive() == 6)
                try population.renew()
                _ = try source.waitUntil { $0.connections == 0 }
            }
        }

        /// What goes wrong, and with which address.
        struct Harm: CustomTestStringConvertible, Sendable {
            var verb: String
            var address: String
            var how: String
            var told: String
            var testDescription: String { "\(verb)-command \(how)s" }
        }

        @Test(
            "reports one that fails or takes ten seconds, and the old host answers for every address again",
            arguments: [
                Harm(verb: "leave", address: "198.51.100.100", how: "fail", told: "ended with status 3"),
                Harm(verb: "leave", address: "198.51.100.100", how: "hang", told: "ten seconds"),
                Harm(verb: "take", address: "2001:db8::100", how: "fail", told: "ended with status 3"),
                Harm(verb: "take", address: "2001:db8::100", how: "hang", told: "ten seconds"),
            ])
        func harmed(_ harm: Harm) async throws {
            let (a, b) = (try Hooks(), try Hooks())
            let hosts = try await Hosts(a: a.options, b: b.options)
            let population = try Population(6)
            let (harmed, host) = harm.verb == "leave" ? (a, hosts.a) : (b, hosts.b)
            try harmed.order("\(harm.how) \(harm.verb) \(harm.address)")
            let report = try hosts.a.drain()
            #expect(!report.isComplete && report.addresses == [], "\(report)")
            for words in ["\(harm.verb).sh \(harm.address)", harm.told] {
                #expect(report.failure?.contains(words) == true, "\(report)")
            }
            #expect(report.failure?.contains("\n") == false, "\(report)")
            #expect(try await Hosts.serviceAddresses(of: .a) == Self.addresses.sorted())
            #expect(try await Hosts.serviceAddresses(of: .b) == [])
            // Nothing that it has started is left.
            try host.awaitEnd(of: "/dev/null")
            try Self.forgetNeighbours()
            #expect(try population.alive() == 6)
            try population.renew()
            try harmed.order("")
            let again = try hosts.a.drain()
            #expect(again.isComplete && again.addresses.count == 4, "\(again)")
            try Self.forgetNeighbours()
            #expect(try population.alive() == 6)
            try population.renew()
            try hosts.b.waitUntil { $0.connections == 6 }
        }

        private static func forgetNeighbours() throws {
            let process = try PeerProcess(Host.inside(.client) + ["ip", "neigh", "flush", "dev", "e0"])
            try process.expect(nil)
        }
    }
}

/// The two programs of a host. They note what they are asked for, and go wrong if they are told to.
private final class Hooks {
    private let files: TemporaryFiles

    init() throws {
        files = try TemporaryFiles()
        try order("")
        for (verb, action) in [("take", "replace"), ("leave", "del")] {
            // Each is to succeed, too, if nothing is to be done. Its input is empty.
            let text = """
                #!/bin/sh
                cat >> \(files.path("record"))
                echo "\(verb) $1" >> \(files.path("record"))
                case "$(cat \(files.path("order")))" in
                "fail \(verb) $1") exit 3 ;;
                "hang \(verb) $1") tail -f /dev/null ;;
                esac
                case $1 in 198.51.100.*|2001:db8:1:*) device=e1 ;; *) device=e0 ;; esac
                case $1 in *:*) prefix=128 ;; *) prefix=32 ;; esac
                ip addr show dev $device | grep -q " $1/$prefix " || [ \(verb) = take ] || exit 0
                exec ip addr \(action) $1/$prefix dev $device
                """
            let path = try files.write(text, "\(verb).sh")
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        }
    }

    var options: Host.Options {
        var options = Host.Options()
        options.migration = """
              take-command: \(files.path("take.sh"))
              leave-command: \(files.path("leave.sh"))

            """
        return options
    }

    /// How to go wrong: `fail` or `hang`, the verb, and the address.
    func order(_ text: String) throws { _ = try files.write(text, "order") }

    /// What they have been asked for since the last time.
    func takeRecord() throws -> [String] {
        let path = files.path("record")
        let text = try String(contentsOfFile: path, encoding: .utf8)
        try FileManager.default.removeItem(atPath: path)
        return text.split(separator: "\n").map(String.init)
    }
}
