import BatonCore
import Foundation
import Glibc
import HostLab
import HostMigration

// A mover in a process of its own, for tests that kill it and for measuring.
//
//   HostMover hold NAMESPACE INTERFACE IPV4 IPV6 COUNT    steers and holds flows, says "held", waits to be killed
//   HostMover bench MOVES                                 the pause of a ping-pong connection between two lab hosts

let arguments = Array(CommandLine.arguments.dropFirst())

switch arguments.first {
case "hold" where arguments.count == 6:
    try Lab.enter(arguments[1])
    let steering = try FlowSteering(interface: arguments[2])
    guard let count = Int(arguments[5]), let ipv4 = IPAddress(arguments[3]), let ipv6 = IPAddress(arguments[4]) else {
        exit(2)
    }
    let flows = Lab.exampleFlows(count)
    try steering.steer(flows, to: NextHop(ipv4, ipv6))
    try steering.hold(flows)
    print("held")
    fflush(nil)
    while true { pause() }
case "bench" where arguments.count == 2:
    guard let moves = Int(arguments[1]), moves > 0 else { exit(2) }
    print(try await PauseBench.run(moves: moves))
default:
    FileHandle.standardError.write(
        Data("usage: HostMover hold NAMESPACE INTERFACE IPV4 IPV6 COUNT | bench MOVES\n".utf8))
    exit(2)
}
