import TLSHandshake
import TLSRecords

/// Over TLS 1.3, by this package's own connections.
final class TLSEchoClient: EchoClient {
    private let socket: ClientSocket
    private var connection: Connection
    private let message = [UInt8](repeating: 0x55, count: 64)

    private static let context = Result {
        try ClientContext(ClientConfiguration(verification: .none, options: ProtocolOptions(minimumVersion: .tls13)))
    }

    /// Shakes hands.
    init(_ socket: ClientSocket) throws {
        self.socket = socket
        var handshake = try Handshake(client: TLSEchoClient.context.get(), serverName: "benchmarks.example")
        var input = [UInt8](repeating: 0, count: 1 << 14)
        while true {
            let progress = try handshake.advance()
            if handshake.outgoingCount > 0 {
                try handshake.withOutgoing { bytes in try bytes.withUnsafeBytes { try socket.write($0) } }
                handshake.didWrite(handshake.outgoingCount)
            }
            guard progress == .needsInput else { break }
            let count = try input.withUnsafeMutableBytes { try socket.read($0) }
            handshake.receive(input.span.extracting(0..<count).bytes)
        }
        connection = try handshake.connection()
    }

    func exchange() throws {
        let message = message
        try connection.send(message.span.bytes)
        try connection.withOutgoing { bytes in try bytes.withUnsafeBytes { try socket.write($0) } }
        connection.didWrite(connection.outgoingCount)
        var count = 0
        while count < message.count {
            var isOpen = true
            connection.receive(upTo: 1 << 12) { space in
                let count = try? socket.read(space)
                isOpen = count != nil
                return count ?? 0
            }
            guard isOpen else { throw BenchmarkError("a connection ended") }
            while let event = try connection.nextEvent() {
                switch event {
                case .applicationData(let length):
                    connection.consumeUnread(length)
                    count += length
                case .closeNotify: throw BenchmarkError("the server has closed a connection")
                default: continue
                }
            }
        }
    }
}
