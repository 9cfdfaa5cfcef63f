import BatonCore
import TLSRecords

/// One end: a connection and the plaintext it has sent and read.
struct FuzzedEnd: ~Copyable {
    private var connection: Connection?
    private(set) var sent: [UInt8] = []
    private var read = 0
    /// Bytes on the way here were changed, so this end may fail, and its peer by its alert.
    var mayFail = false

    init(_ role: Role, _ suite: CipherSuite, read: consuming SecretBytes, write: consuming SecretBytes) {
        let snapshot = Snapshot(
            established: ConnectionInfo(role: role, suite: suite), read: DirectionState(secret: read),
            write: DirectionState(secret: write), exporter: nil)
        connection = Connection(resuming: snapshot!)
    }

    mutating func send(_ count: UInt8) {
        let plaintext = (0..<Int(count)).map { UInt8(truncatingIfNeeded: sent.count + $0) }
        guard (try? connection!.send(plaintext.span.bytes)) != nil else { return }
        sent += plaintext
    }

    /// Takes some of what is queued.
    mutating func write(_ most: UInt8) -> [UInt8] {
        let bytes = connection!.withOutgoing { span in span.withUnsafeBytes { Array($0.prefix(Int(most))) } }
        connection!.didWrite(bytes.count)
        return bytes
    }

    mutating func receive(_ ciphertext: [UInt8], sent: [UInt8]) {
        connection!.receive(ciphertext.span.bytes)
        do {
            while let event = try connection!.nextEvent() {
                guard case .applicationData(let count) = event else { continue }
                let part = max(1, count / 2)
                connection!.withUnread { span in
                    span.withUnsafeBytes { bytes in
                        precondition(
                            bytes.prefix(part).elementsEqual(sent[read..<read + part]), "read what was not sent")
                    }
                }
                connection!.consumeUnread(part)
                read += part
            }
        } catch {
            precondition(
                mayFail || error.code == .peerAlert || error.code == .tooManyKeyUpdates
                    || error.code == .tooManyEmptyRecords, "failed: \(error)")
        }
    }

    mutating func act(_ argument: UInt8) {
        switch argument >> 1 & 3 {
        case 0: try? connection!.updateKeys(requestingPeer: argument & 8 != 0)
        case 1: connection!.releaseIdleMemory()
        case 2: if argument & 0x30 == 0x30 { connection!.close() }
        default: move()
        }
    }

    private mutating func move() {
        guard let written = connection.take()?.suspend().encoded() else { return }
        do {
            connection = Connection(
                resuming: try written.withUnsafeBytes { (bytes) throws(SnapshotError) in
                    try Snapshot(decoding: bytes.bytes)
                })
        } catch {
            fatalError("a snapshot that was just written cannot be read: \(error)")
        }
    }
}
