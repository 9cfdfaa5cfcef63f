// An HTTPS GET from a plain poll(2) loop:  swift run PollLoop HOST [PORT] [PATH]
//
// The two questions that every TLS API without I/O has to answer:
// - When is there something to write? Whenever `outgoingCount` is not 0. Look after every call that can make some:
//   `advance`, `nextEvent`, `send`, `close`. Ask poll for POLLOUT only then, and report with `didWrite` what was taken.
// - What do I do with what arrives? Give it to `receive`, whatever its size, then call `advance` (of the handshake) or
//   `nextEvent` (of the connection) until they have nothing more to say.
// Preconcurrency for `stdout`, a C global.
@preconcurrency import Glibc
import TLSHandshake
import TLSRecords

@main
struct PollLoop {
    static func main() {
        do { try get(Array(CommandLine.arguments.dropFirst())) } catch {
            fputs("PollLoop: \(error)\n", stderr)
            exit(1)
        }
    }

    static func get(_ arguments: [String]) throws {
        guard let host = arguments.first else { throw Failure("usage: PollLoop HOST [PORT] [PATH]") }
        let context = try ClientContext(ClientConfiguration(options: .init(applicationProtocols: ["http/1.1"])))
        let socket = try connect(host, arguments.count > 1 ? arguments[1] : "443")
        defer { close(socket) }

        var handshake = try Handshake(client: context, serverName: host)
        while try handshake.advance() == .needsInput {
            let ready = try wait(socket, toWrite: handshake.outgoingCount > 0)
            if ready & POLLOUT != 0 { handshake.didWrite(try handshake.withOutgoing { try write(socket, $0) }) }
            if ready & ~POLLOUT != 0 {
                let bytes = try read(socket)
                if bytes.isEmpty { try handshake.receiveEnd() }
                handshake.receive(bytes.span.bytes)
            }
        }

        // What the handshake has left to write, and what has arrived behind it, is the connection's now.
        var connection = try handshake.connection()
        let path = arguments.count > 2 ? arguments[2] : "/"
        let request = "GET \(path) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n"
        try connection.send(Array(request.utf8).span.bytes)
        while true {
            while let event = try connection.nextEvent() {
                if case .applicationData(let count) = event {
                    connection.withUnread { $0.withUnsafeBytes { _ = fwrite($0.baseAddress, 1, count, stdout) } }
                    connection.consumeUnread(count)
                }
                if event == .closeNotify { return }
            }
            let ready = try wait(socket, toWrite: connection.outgoingCount > 0)
            if ready & POLLOUT != 0 { connection.didWrite(try connection.withOutgoing { try write(socket, $0) }) }
            if ready & ~POLLOUT != 0 {
                let bytes = try read(socket)
                // An end without a close_notify before it may be an attacker's: the page may have been cut.
                if bytes.isEmpty { connection.receiveEnd() }
                connection.receive(bytes.span.bytes)
            }
        }
    }

    static func connect(_ host: String, _ port: String) throws -> Int32 {
        var (hints, list) = (addrinfo(), UnsafeMutablePointer<addrinfo>?.none)
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        guard getaddrinfo(host, port, &hints, &list) == 0 else { throw Failure("\(host): no address") }
        defer { freeaddrinfo(list) }
        for address in sequence(first: list, next: { $0?.pointee.ai_next }).compactMap(\.?.pointee) {
            let descriptor = socket(address.ai_family, address.ai_socktype, 0)
            if Glibc.connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 {
                _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
                return descriptor
            }
            close(descriptor)
        }
        throw Failure("cannot connect to \(host), port \(port)")
    }

    static func wait(_ socket: Int32, toWrite: Bool) throws -> Int32 {
        var entry = pollfd(fd: socket, events: Int16(POLLIN | (toWrite ? POLLOUT : 0)), revents: 0)
        guard poll(&entry, 1, 30_000) > 0 else { throw Failure("the server said nothing for 30 seconds") }
        return Int32(entry.revents)
    }

    static func read(_ socket: Int32) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: 16_384) { buffer, count in
            count = Glibc.read(socket, buffer.baseAddress, buffer.count)
            if count < 0 { count = 0; throw Failure("cannot read: \(String(cString: strerror(errno)))") }
        }
    }

    static func write(_ socket: Int32, _ bytes: RawSpan) throws -> Int {
        let count = bytes.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        guard count >= 0 || errno == EAGAIN else { throw Failure("cannot write: \(String(cString: strerror(errno)))") }
        return max(count, 0)
    }
}
