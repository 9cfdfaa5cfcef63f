internal import BatonCore
internal import HostMigration

/// What two hosts say to each other beside the batches: one message of a `HostLink` each, its kind and its body, big-endian. The
/// messages of a batch have kinds below `lowest`.
enum HostMessage: Equatable {
    /// The first word of either side: the lowest and the highest version it speaks, and where packets are forwarded to it.
    case hello(versions: ClosedRange<UInt8>, NextHop)
    /// Connections are to leave: the receiver makes ready for batches.
    case begin
    /// What begins is forwarded to the receiver from now on, which is not to forward it back.
    case newcomers
    /// The receiver is to answer for the addresses, and to forward the flows, which have stayed.
    case addresses([IPAddress], staying: [Flow])
    /// What was asked is done.
    case done
    /// It is not, and nothing has changed by it.
    case failed(MigrationError)
    /// No more comes.
    case bye

    /// The versions this build speaks.
    static let versions: ClosedRange<UInt8> = 1...1
    static let lowest: UInt8 = 64

    /// The most addresses of a message.
    static let maxAddresses = 255

    private static let longestText = 512

    private enum Kind: UInt8 {
        case hello = 64
        case begin = 65
        case newcomers = 66
        case addresses = 67
        case done = 68
        case failed = 69
        case bye = 70
    }

    var encoded: [UInt8] {
        switch self {
        case .hello(let versions, let hop):
            var bytes = [Kind.hello.rawValue, versions.lowerBound, versions.upperBound]
            bytes.append(hop)
            return bytes
        case .begin: return [Kind.begin.rawValue]
        case .newcomers: return [Kind.newcomers.rawValue]
        case .addresses(let addresses, let flows):
            var bytes = [Kind.addresses.rawValue, UInt8(clamping: addresses.count)]
            for address in addresses.prefix(HostMessage.maxAddresses) { bytes.append(address) }
            for flow in flows { bytes.append(flow) }
            return bytes
        case .done: return [Kind.done.rawValue]
        case .failed(let error):
            return [Kind.failed.rawValue, error.code.rawValue] + error.detail.utf8.prefix(HostMessage.longestText)
        case .bye: return [Kind.bye.rawValue]
        }
    }

    /// Nil if it is damaged, or none of these.
    init?(_ bytes: UnsafeRawBufferPointer) {
        var reader = WireReader(bytes)
        guard let kind = reader.uint8().flatMap(Kind.init(rawValue:)) else { return nil }
        switch kind {
        case .hello:
            // Later versions may append.
            guard let low = reader.uint8(), let high = reader.uint8(), low <= high, let hop = reader.nextHop() else {
                return nil
            }
            self = .hello(versions: low...high, hop)
            return
        case .begin: self = .begin
        case .newcomers: self = .newcomers
        case .addresses:
            guard let (addresses, flows) = reader.addressesAndFlows() else { return nil }
            self = .addresses(addresses, staying: flows)
        case .done: self = .done
        case .failed:
            guard let number = reader.uint8(), reader.remaining <= HostMessage.longestText,
                let text = reader.bytes(reader.remaining)
            else { return nil }
            // It is for a log: without control characters.
            let words = String(decoding: text, as: UTF8.self).unicodeScalars.filter {
                $0.value >= 0x20 && $0.value != 0x7F
            }
            self = .failed(
                MigrationError(
                    MigrationError.Code(rawValue: number) ?? .declined, String(String.UnicodeScalarView(words))))
            return
        case .bye: self = .bye
        }
        guard reader.isAtEnd else { return nil }
    }
}

extension HostLink {
    func send(_ message: HostMessage) throws(MigrationError) { try send(message.encoded.span.bytes) }

    /// - Throws: as `receive(within:)`; `.protocolViolation` if it is another kind of message.
    func receiveMessage(within time: Duration) throws(MigrationError) -> HostMessage {
        let bytes = try receive(within: time)
        guard let message = bytes.withUnsafeBytes({ HostMessage($0) }) else { throw MigrationError(.protocolViolation) }
        return message
    }
}
