import StockPeers
import TLSHandshake

@testable import TLSRecords

/// A peer that makes an ordinary handshake and then sends whatever records it is told to, legal or not.
final class ForgingPeer {
    private let wire: Wire
    private var connection: Connection
    private var writer: RecordProtection
    private(set) var data: [UInt8] = []
    private(set) var events: [Event] = []

    /// A client of the server at `port`.
    convenience init(port: Int, version: TLSVersion = .tls13) throws {
        let wire = try Wire.connect(UInt16(port))
        let options = ProtocolOptions(minimumVersion: version, maximumVersion: version)
        let context = try ClientContext(ClientConfiguration(verification: .none, options: options))
        self.init(wire, try wire.handshake(try Handshake(client: context, serverName: "")))
    }

    /// The server of a connection that is accepted on `listener`.
    convenience init(accepting listener: Wire, version: TLSVersion = .tls13) throws {
        let wire = try listener.accept()
        let options = ProtocolOptions(minimumVersion: version, maximumVersion: version)
        self.init(wire, try wire.handshake(Handshake(server: try Credentials.shared.server(options))))
    }

    /// Reads with the connection, and writes with a copy of its key.
    private init(_ wire: Wire, _ connection: consuming Connection) {
        self.wire = wire
        let snapshot = connection.suspend()
        let state = DirectionState(
            secret: snapshot.write.secret.copy(), sequence: snapshot.write.sequence,
            explicitNonce: snapshot.write.explicitNonce)
        writer = RecordProtection(suite: snapshot.info.suite, state: state)
        self.connection = Connection(resuming: snapshot)
    }

    /// A record of `type`, protected.
    func record(_ type: ContentType, _ content: [UInt8]) -> [UInt8] {
        var output = [UInt8](repeating: 0, count: content.count + 64)
        let length = content.withUnsafeBytes { content in
            output.withUnsafeMutableBytes { writer.seal(type, content, to: $0.baseAddress!) }
        }
        return Array(output[..<length])
    }

    /// A KeyUpdate; what follows is under the new key.
    func keyUpdate(requesting: Bool = false) -> [UInt8] {
        let record = record(.handshake, [24, 0, 0, 1, requesting ? 1 : 0])
        writer.updateSecret()
        return record
    }

    func send(_ bytes: [UInt8]) throws { try wire.write(bytes) }

    /// Reads until as much data has come.
    func receive(_ count: Int) throws {
        while data.count < count {
            let bytes = try wire.read()
            guard !bytes.isEmpty else { throw WireError("closed after \(data.count) bytes") }
            connection.receive(bytes.span.bytes)
            try takeAll()
        }
    }

    /// Reads until the server has ended the connection; the alert by which it did.
    func end() throws -> Alert? {
        while true {
            let bytes = try wire.read()
            guard !bytes.isEmpty else { return nil }
            connection.receive(bytes.span.bytes)
            do throws(TLSError) {
                try takeAll()
            } catch {
                return error.alert
            }
            if connection.isReadClosed { return .closeNotify }
        }
    }

    /// Warnings that have come in a row.
    var warnings: Int { Int(connection.progress.counters.warnings) }

    private func takeAll() throws(TLSError) {
        while let event = try connection.nextEvent() {
            guard case .applicationData(let count) = event else {
                events.append(event)
                continue
            }
            connection.withUnread { span in span.withUnsafeBytes { data += $0 } }
            connection.consumeUnread(count)
        }
    }
}
