import BatonCore

/// What the privileged process answers, each one message.
enum NetworkReply: Equatable {
    /// For each descriptor its flow, or why it cannot move.
    case examined([Result<Flow, MigrationError>])
    /// What became of each connection, in the order it was asked.
    case outcomes([SocketMigration.Outcome])
    /// A connection is this host's; its descriptor comes with it. Any number of them precede `done`.
    case arrived(Flow)
    /// These addresses are no longer answered for.
    case addresses([IPAddress])
    /// These flows.
    case flows([Flow])
    /// So many.
    case count(Int)
    /// It is done.
    case done
    /// It could not be done.
    case failed(MigrationError)
    /// This process has taken the place of one that died; what that was asked for may have been done in part. The only
    /// reply that nobody asked for; its number is 0.
    case restarted

    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        switch self {
        case .examined(let results):
            bytes.append(1)
            for result in results {
                switch result {
                case .success(let flow):
                    bytes.append(0)
                    bytes.append(flow)
                case .failure(let error): bytes.append(error.code.rawValue)
                }
            }
        case .outcomes(let outcomes):
            bytes.append(2)
            for outcome in outcomes {
                switch outcome {
                case .moved: bytes += [0, 0]
                case .stayed(let error): bytes += [1, error.code.rawValue]
                case .inDoubt: bytes += [2, 0]
                }
            }
        case .arrived(let flow):
            bytes.append(3)
            bytes.append(flow)
        case .addresses(let addresses):
            bytes.append(4)
            for address in addresses { bytes.append(address) }
        case .count(let count):
            bytes.append(5)
            bytes.append(bigEndian: UInt32(clamping: count))
        case .flows(let flows):
            bytes.append(9)
            for flow in flows { bytes.append(flow) }
        case .done: bytes.append(6)
        case .restarted: bytes.append(8)
        case .failed(let error):
            bytes += [7, error.code.rawValue]
            bytes += Array(error.detail.utf8.prefix(1000))
        }
        return bytes
    }

    /// Nil for anything but what `encoded` writes.
    init?(_ bytes: UnsafeRawBufferPointer) {
        var reader = WireReader(bytes)
        switch reader.uint8() {
        case 1:
            var results: [Result<Flow, MigrationError>] = []
            while !reader.isAtEnd {
                guard let number = reader.uint8() else { return nil }
                if number == 0 {
                    guard let flow = reader.flow() else { return nil }
                    results.append(.success(flow))
                } else {
                    results.append(.failure(MigrationError(MigrationError.Code(rawValue: number) ?? .systemCall)))
                }
            }
            self = .examined(results)
        case 2:
            var outcomes: [SocketMigration.Outcome] = []
            while !reader.isAtEnd {
                guard let kind = reader.uint8(), let number = reader.uint8() else { return nil }
                switch kind {
                case 0: outcomes.append(.moved)
                case 1:
                    outcomes.append(.stayed(MigrationError(MigrationError.Code(rawValue: number) ?? .systemCall)))
                case 2: outcomes.append(.inDoubt)
                default: return nil
                }
            }
            self = .outcomes(outcomes)
        case 3:
            guard let flow = reader.flow() else { return nil }
            self = .arrived(flow)
        case 4:
            var addresses: [IPAddress] = []
            while !reader.isAtEnd {
                guard let address = reader.address() else { return nil }
                addresses.append(address)
            }
            self = .addresses(addresses)
        case 5:
            guard let count = reader.uint32() else { return nil }
            self = .count(Int(count))
        case 9:
            var flows: [Flow] = []
            while !reader.isAtEnd {
                guard let flow = reader.flow() else { return nil }
                flows.append(flow)
            }
            self = .flows(flows)
        case 6: self = .done
        case 8: self = .restarted
        case 7:
            guard let number = reader.uint8(), let text = reader.bytes(reader.remaining) else { return nil }
            self = .failed(
                MigrationError(
                    MigrationError.Code(rawValue: number) ?? .systemCall, String(decoding: text, as: UTF8.self)))
        default: return nil
        }
        guard reader.isAtEnd else { return nil }
    }
}
