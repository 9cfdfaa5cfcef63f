import BatonCore
import TLSRecords

/// Two ends of one connection, what is under way between them, and what each has sent and read.
struct FuzzedEnds: ~Copyable {
    private var client: FuzzedEnd
    private var server: FuzzedEnd
    private var toServer: [UInt8] = []
    private var toClient: [UInt8] = []

    init(suite: CipherSuite) {
        let length = DirectionState.secretLength(suite)
        func secret(_ byte: UInt8) -> SecretBytes {
            SecretBytes(count: length) { $0.initializeMemory(as: UInt8.self, repeating: byte) }
        }
        client = FuzzedEnd(.client, suite, read: secret(1), write: secret(2))
        server = FuzzedEnd(.server, suite, read: secret(2), write: secret(1))
    }

    mutating func perform(_ operation: UInt8, argument: UInt8) {
        switch operation % 8 {
        case 0: client.send(argument)
        case 1: server.send(argument)
        case 2: toServer += client.write(argument)
        case 3: toClient += server.write(argument)
        case 4: deliver(argument, isForServer: true)
        case 5: deliver(argument, isForServer: false)
        case 6: if argument & 1 == 0 { client.act(argument) } else { server.act(argument) }
        default: corrupt(argument)
        }
    }

    private mutating func deliver(_ argument: UInt8, isForServer: Bool) {
        if isForServer {
            let piece = Array(toServer.prefix(Int(argument)))
            toServer.removeFirst(piece.count)
            server.receive(piece, sent: client.sent)
        } else {
            let piece = Array(toClient.prefix(Int(argument)))
            toClient.removeFirst(piece.count)
            client.receive(piece, sent: server.sent)
        }
    }

    private mutating func corrupt(_ argument: UInt8) {
        guard !toServer.isEmpty else { return }
        toServer[Int(argument) % toServer.count] ^= argument | 1
        server.mayFail = true
    }
}
