internal import BatonCore
internal import HostMigration
internal import TLSRecords

/// What a front asks of the keeper, each one message of a SOCK_SEQPACKET socket with one descriptor.
enum PrivilegeOrder: Equatable {
    /// Start the privileged process, with the descriptor as its standard input. `turn` names it in what is said of it.
    case start(turn: UInt32, isRestarted: Bool)
    /// Take orders at the descriptor, too: it is the successor's.
    case share

    var encoded: [UInt8] {
        switch self {
        case .start(let turn, let isRestarted):
            var bytes: [UInt8] = [1, isRestarted ? 1 : 0]
            bytes.append(bigEndian: turn)
            return bytes
        case .share: return [2]
        }
    }

    /// Nil for anything but what `encoded` writes.
    init?(_ bytes: [UInt8]) {
        let order = bytes.withUnsafeBytes { bytes -> PrivilegeOrder? in
            var reader = WireReader(bytes)
            switch reader.uint8() {
            case 1:
                guard let flag = reader.uint8(), flag <= 1, let turn = reader.uint32(), reader.isAtEnd else {
                    return nil
                }
                return .start(turn: turn, isRestarted: flag == 1)
            case 2: return reader.isAtEnd ? .share : nil
            default: return nil
            }
        }
        guard let order else { return nil }
        self = order
    }
}

/// What the keeper says of a privileged process that it was asked for.
enum PrivilegeEvent: Equatable {
    /// It has ended, with this wait status.
    case ended(turn: UInt32, status: Int32)
    /// It could not be started: a value of errno.
    case failed(turn: UInt32, code: Int32)

    var encoded: [UInt8] {
        let (kind, turn, value): (UInt8, UInt32, Int32) =
            switch self {
            case .ended(let turn, let status): (1, turn, status)
            case .failed(let turn, let code): (2, turn, code)
            }
        var bytes = [kind]
        bytes.append(bigEndian: turn)
        bytes.append(bigEndian: UInt32(bitPattern: value))
        return bytes
    }

    /// Nil for anything but what `encoded` writes.
    init?(_ bytes: [UInt8]) {
        let fields = bytes.withUnsafeBytes { bytes -> (UInt8, UInt32, Int32)? in
            var reader = WireReader(bytes)
            guard let kind = reader.uint8(), let turn = reader.uint32(), let value = reader.uint32(), reader.isAtEnd
            else { return nil }
            return (kind, turn, Int32(bitPattern: value))
        }
        switch fields {
        case (1, let turn, let status)?: self = .ended(turn: turn, status: status)
        case (2, let turn, let code)?: self = .failed(turn: turn, code: code)
        default: return nil
        }
    }
}
