/// A connection to an echo.
protocol EchoClient: AnyObject {
    /// Sends a small message and waits until it is back.
    func exchange() throws
}

/// Over plain TCP.
final class PlainEchoClient: EchoClient {
    private let socket: ClientSocket
    private var message = [UInt8](repeating: 0x55, count: 64)

    init(_ socket: ClientSocket) { self.socket = socket }

    func exchange() throws {
        try message.withUnsafeBytes { try socket.write($0) }
        var count = 0
        while count < message.count {
            try message.withUnsafeMutableBytes { bytes in
                count += try socket.read(UnsafeMutableRawBufferPointer(rebasing: bytes[count...]))
            }
        }
    }
}
