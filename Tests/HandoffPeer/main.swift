// The other end of a handoff, as a process that can be killed. It takes the steps it is told to, says on standard
// output when it stands where it was to stop, and waits there.
import Glibc
import Handoff

let arguments = CommandLine.arguments.dropFirst()
guard arguments.count >= 3 else { exit(2) }
let words = Array(arguments)
let path = words[1]
let stop = words[2]

func say(_ text: String) {
    let line = Array((text + "\n").utf8)
    _ = write(1, line, line.count)
}

/// Returns when the test says so; a test that ends ends this process too.
func wait() {
    var byte: UInt8 = 0
    if read(0, &byte, 1) <= 0 { exit(0) }
}

func connect(port: UInt16) -> Int32 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let result = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
    return result == 0 ? descriptor : -1
}

func own(port: UInt16) throws(HandoffError) {
    var channel = OwnerChannel(try .connect(to: path, deadline: .after(.seconds(60))))
    try channel.awaitHello(deadline: .after(.seconds(60)))
    let connection = connect(port: port)
    var sockets = DescriptorSet(owning: connection)
    sockets.recordWritePositions()
    let size = stop == "part" ? 8 << 20 : 100
    let parcel = Parcel(sockets: sockets, applicationState: [UInt8](repeating: 5, count: size))
    if stop == "commit" {
        let outcome = channel.offer(ParcelBatch(parcel), deadline: .after(.seconds(60)))
        say("\(outcome.settlement.ending)")
        return wait()
    }
    channel.begin(ParcelBatch(parcel), deadline: .after(.seconds(60)))
    _ = channel.step()
    switch stop {
    case "write": _ = write(connection, "x", 1)
    case "cancel": _ = channel.expire()
    case "close":
        say("offered")
        wait()
        // Held until after the channel has gone.
        let kept = fcntl(connection, F_DUPFD_CLOEXEC, 0)
        _ = consume channel
        say("closed \(kept >= 0)")
        return wait()
    default: break
    }
    say("offered")
    wait()
}

func receive() throws(HandoffError) {
    let socket = try HandoffSocket.connect(to: path, deadline: .after(.seconds(60)))
    if stop == "silent" {
        say("connected")
        return wait()
    }
    var channel = ReceiverChannel(socket)
    if stop == "hello" {
        say("hello")
        return wait()
    }
    while true {
        let event = try channel.step { _ in
            if stop == "decide" {
                say("deciding")
                wait()
            }
            return .accept
        }
        if case .received(let received) = event {
            received.parcels.consumeEach { parcel in
                if !parcel.sockets.isEmpty { _ = write(parcel.sockets[0], "mine", 4) }
            }
            say("received")
            return wait()
        }
        if channel.isHolding, stop == "accept" {
            say("accepted")
            return wait()
        }
        var entry = pollfd(fd: channel.descriptor, events: channel.interest, revents: 0)
        _ = poll(&entry, 1, 1000)
    }
}

func listen() throws(HandoffError) {
    let listener = try HandoffListener(at: path)
    say("listening")
    wait()
    _ = listener.descriptor
}

do throws(HandoffError) {
    if words.count == 4, words[0] != "own", let user = UInt32(words[3]), setuid(user) != 0 { exit(3) }
    switch words[0] {
    case "own": try own(port: UInt16(words[3]) ?? 0)
    case "receive": try receive()
    case "listen": try listen()
    default: exit(2)
    }
} catch {
    say("error \(error.code.rawValue)")
    wait()
}
