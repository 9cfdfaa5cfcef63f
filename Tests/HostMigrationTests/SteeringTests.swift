import BatonCore
import Foundation
import Glibc
import HostLab
import HostMigration
import Testing

extension LabTests {
    /// In the backend's namespace, which no connection of the other suites passes.
    @Suite("The rules of a host")
    struct SteeringTests {
        private let hop = NextHop(IPAddress("198.51.100.3")!, IPAddress("2001:db8:1::3")!)

        @Test("are installed, used and removed twice over without harm, thousands of flows at a time")
        func idempotence() async throws {
            let flows = Lab.exampleFlows(2500)
            try await Lab.shared.run(in: .backend) { [hop] in
                try FlowSteering.cleanUp()
                try FlowSteering.cleanUp()
                let steering = try FlowSteering(interface: "e1")
                for _ in 0..<2 {
                    try steering.hold(flows)
                    try steering.hold(flows)
                    #expect(try Lab.rules().components(separatedBy: "expires").count - 1 == flows.count)
                    try steering.steer(flows, to: hop)
                    try steering.steer(flows, to: hop)
                    try steering.release(flows)
                    try steering.release(flows)
                    #expect(try !Lab.rules().contains("expires"))
                    #expect(steering.moved.count == flows.count)
                    try steering.forget(flows)
                    try steering.forget(flows)
                    #expect(try !Lab.rules().contains("elements"))
                }
                try FlowSteering.cleanUp()
                #expect(try Lab.rules().isEmpty)
            }
        }

        @Test("are taken over from a process that was killed: what moved stays steered, what was held is let go")
        func kill() async throws {
            let flows = Lab.exampleFlows(4)
            let process = Process()
            let output = Pipe()
            process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
                .deletingLastPathComponent().appending(path: "HostMover")
            process.arguments = ["hold", Lab.shared.path(.backend), "e1", "198.51.100.3", "2001:db8:1::3", "4"]
            process.standardOutput = output
            try process.run()
            let line = output.fileHandleForReading.availableData
            #expect(String(decoding: line, as: UTF8.self) == "held\n")
            try await Lab.shared.run(in: .backend) {
                #expect(throws: MigrationError.self) { try FlowSteering(interface: "e1") }
                let listing = try Lab.rules()
                #expect(listing.contains("expires"))
            }
            Glibc.kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            try await Lab.shared.run(in: .backend) {
                let steering = try FlowSteering(interface: "e1")
                #expect(try !Lab.rules().contains("expires"))
                #expect(Set(steering.moved.keys) == Set(flows))
                try FlowSteering.cleanUp()
                #expect(try Lab.rules().isEmpty)
            }
        }
    }

    @Suite("A service address")
    struct AddressTests {
        @Test("moves to another host, and the client's next connection goes there", arguments: [Shape.plain4, .plain6])
        func takeover(_ shape: Shape) async throws {
            let lab = Lab.shared
            let address = Sockets.service[shape.family]!
            let before = try await Pair(shape)
            close(before.client)
            close(before.server)
            try await lab.run(in: .a) { try AddressTakeover(interface: "e0").give(address) }
            let listener = try await lab.run(in: .b) {
                try AddressTakeover(interface: "e0").take(address)
                return try Sockets.listen(shape.family, port: 4445)
            }
            let client = try await lab.run(in: .client) { try Sockets.connect(shape.family, port: 4445) }
            let server = try Sockets.accept(listener)
            try Sockets.writeAll(client, [1])
            #expect(try Sockets.readExactly(server, 1) == [1])
            for fd in [client, server, listener] { close(fd) }
            // And back.
            try await lab.run(in: .b) { try AddressTakeover(interface: "e0").give(address) }
            try await lab.run(in: .a) { try AddressTakeover(interface: "e0").take(address) }
            let after = try await Pair(shape)
            close(after.client)
            close(after.server)
        }
    }
}
