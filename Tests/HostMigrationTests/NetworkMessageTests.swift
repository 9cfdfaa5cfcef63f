import BatonCore
import Testing

@testable import HostMigration

@Suite("What a server and its privileged process say to each other")
struct NetworkMessageTests {
    private static let flow = Flow(
        local: Endpoint(IPAddress("2001:db8::100")!, port: 443),
        remote: Endpoint(IPAddress("2001:db8::1")!, port: 50_000))!
    private static let host = NextHop(IPAddress("192.0.2.3")!, IPAddress("2001:db8::3")!)

    private static let requests: [NetworkRequest] = [
        .examine, .move(host: host, groups: [0, 0, 1]), .arrive, .steerNewcomers(ports: [443, 8443], host: host),
        .keepNewcomers, .leaveAddresses, .countSteered, .reset, .prepare,
        .stayingFlows(besidesThoseAt: host, isFirst: true), .stayingFlows(besidesThoseAt: NextHop(), isFirst: false),
        .takeAddresses([IPAddress("192.0.2.100")!]),
        .forward([flow], host: NextHop(IPAddress("192.0.2.3")!), alone: true), .forward([], host: host, alone: false),
        .keepAddresses([IPAddress("2001:db8::100")!]),
    ]

    private static let replies: [NetworkReply] = [
        .examined([.success(flow), .failure(MigrationError(.urgentData))]),
        .outcomes([.moved, .stayed(MigrationError(.linkEnded)), .inDoubt]), .arrived(flow),
        .addresses([IPAddress("192.0.2.100")!]), .count(7), .done, .restarted, .flows([]), .flows([flow, flow]),
        .failed(MigrationError(.deviceBusy, "why")),
    ]

    @Test("is read as it was written")
    func roundTrip() {
        for request in Self.requests {
            #expect(request.encoded.withUnsafeBytes { NetworkRequest($0) } == request)
        }
        for reply in Self.replies {
            #expect(reply.encoded.withUnsafeBytes { NetworkReply($0) } == reply)
        }
    }

    @Test("is never mistaken when it is cut off, and bytes of any value are read without harm")
    func damaged() {
        for request in Self.requests {
            let bytes = request.encoded
            for length in 0..<bytes.count {
                #expect(bytes.prefix(length).withUnsafeBytes { NetworkRequest($0) } != request)
            }
            #expect((bytes + [0xFF]).withUnsafeBytes { NetworkRequest($0) } != request)
        }
        for reply in Self.replies {
            for position in reply.encoded.indices {
                for value in [UInt8(0), 1, 0x7F, 0xFF] {
                    var bytes = reply.encoded
                    bytes[position] = value
                    _ = bytes.withUnsafeBytes { NetworkReply($0) }
                    _ = bytes.withUnsafeBytes { NetworkRequest($0) }
                }
            }
        }
    }
}
