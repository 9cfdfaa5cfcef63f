// One owner of a chain: takes a connection where it listens, says to the peer who owns it now, reads the peer's answer
// into the application state, and hands the connection on.  MovingOwner LISTEN NEXT
import BatonCore
import Glibc
import Handoff
import StockPeers
import TLSRecords

func say(_ text: String, on descriptor: Int32) {
    let line = Array((text + "\n").utf8)
    _ = write(descriptor, line, line.count)
}

func fail(_ text: String) -> Never {
    say("MovingOwner \(getpid()): \(text)", on: 2)
    exit(1)
}

func own(_ parcel: consuming Parcel) throws -> Parcel {
    guard let snapshot = parcel.snapshot.take(), parcel.sockets.count == 1 else { fail("a parcel of another kind") }
    // The session closes its descriptor; the parcel keeps its own.
    let wire = Wire(fcntl(parcel.sockets[0], F_DUPFD_CLOEXEC, 0))
    var session = Session(Connection(resuming: snapshot), over: wire)
    try session.send("owner \(getpid())\n")
    parcel.applicationState += Array(try session.line().utf8) + [UInt8(ascii: "\n")]
    parcel.metadata.moves += 1
    parcel.snapshot = session.suspend()
    return parcel
}

func run(listen: String, next: String) throws {
    let limit = Deadline.after(.seconds(120))
    let listener = try HandoffListener(at: listen)
    say("ready", on: 1)
    guard let socket = try listener.accept(deadline: limit) else { fail("nobody came") }
    var source = ReceiverChannel(socket)
    guard var received = try source.receive(deadline: limit), let parcel = received.parcels.removeLast() else {
        fail("nothing came")
    }
    let mine = try own(parcel)
    var target = OwnerChannel(try HandoffSocket.connect(to: next, deadline: limit))
    let outcome = target.offer(ParcelBatch(mine), deadline: limit)
    guard outcome.settlement.handedOverCount == 1 else { fail("not handed on: \(outcome.settlement.ending)") }
    try target.awaitConfirmation(deadline: limit)
}

guard CommandLine.arguments.count == 3 else { fail("usage: MovingOwner LISTEN NEXT") }
do {
    try run(listen: CommandLine.arguments[1], next: CommandLine.arguments[2])
} catch {
    fail("\(error)")
}
