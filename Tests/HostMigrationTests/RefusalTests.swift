import BatonCore
import Glibc
import HostLab
import HostMigration
import Testing

extension LabTests {
    @Suite("What cannot move is refused with its reason and goes on")
    struct RefusalTests {
        @Test("urgent data that waits")
        func urgentData() async throws {
            let pair = try await Pair()
            let byte: [UInt8] = [0x21]
            send(pair.client, byte, 1, Int32(MSG_OOB))
            var request = pollfd(fd: pair.server, events: Int16(POLLPRI), revents: 0)
            #expect(poll(&request, 1, 30_000) == 1)
            try await refused(pair.server, .urgentData)
            try await goesOn(pair)
        }

        @Test("a connection signed with MD5")
        func md5() async throws {
            let pair = try await Pair()
            try Sockets.signWithMD5(pair.server, peer: IPAddress("192.0.2.77")!)
            try await refused(pair.server, .md5Signatures)
            try await goesOn(pair)
        }

        @Test("MPTCP")
        func multipath() async throws {
            // IPPROTO_MPTCP
            let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 262)
            try #require(fd >= 0)
            defer { close(fd) }
            try await refused(fd, .multipath)
        }

        @Test("a listening socket, one without a peer, and one that is no TCP socket")
        func states() async throws {
            let listener = try await Lab.shared.run(in: .a) { try Sockets.listen(.ipv4, port: 4444) }
            defer { close(listener) }
            try await refused(listener, .unmovableState)
            let fresh = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(fresh) }
            try await refused(fresh, .unmovableState)
            let datagram = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
            defer { close(datagram) }
            try await refused(datagram, .notTCP)
        }

        @Test("a socket bound to a device")
        func bound() async throws {
            let pair = try await Pair()
            _ = try await Lab.shared.run(in: .a) {
                setsockopt(pair.server, SOL_SOCKET, SO_BINDTODEVICE, "e0", 2)
            }
            try await refused(pair.server, .boundToDevice)
            try await goesOn(pair)
        }

        private func refused(_ fd: Int32, _ code: MigrationError.Code) async throws {
            let reason = try await Lab.shared.run(in: .a) {
                do throws(MigrationError) {
                    _ = try MovableSocket(examining: fd)
                    return nil as MigrationError?
                } catch {
                    return error
                }
            }
            #expect(reason?.code == code)
        }

        private func goesOn(_ pair: Pair) async throws {
            try Sockets.writeAll(pair.client, [1, 2])
            #expect(try Sockets.readExactly(pair.server, 2) == [1, 2])
            close(pair.client)
            close(pair.server)
        }
    }
}
