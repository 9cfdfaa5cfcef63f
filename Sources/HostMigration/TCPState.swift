/// The states of RFC 9293 3.3.2, with the numbers Linux gives them.
package enum TCPState: UInt8, Sendable, CaseIterable {
    case established = 1
    case synSent = 2
    case synReceived = 3
    case finWait1 = 4
    case finWait2 = 5
    case timeWait = 6
    case closed = 7
    case closeWait = 8
    case lastAck = 9
    case listen = 10
    case closing = 11

    /// Whether a connection in this state can be frozen and thawed.
    package var isMovable: Bool {
        switch self {
        case .established, .closeWait, .finWait1, .finWait2, .closing, .lastAck: true
        case .synSent, .synReceived, .timeWait, .closed, .listen: false
        }
    }

    /// Whether our FIN stands in the sequence space, sent or waiting behind data.
    var hasLocalFIN: Bool {
        switch self {
        case .finWait1, .finWait2, .closing, .lastAck: true
        default: false
        }
    }

    /// Whether our FIN is still unacknowledged, and so counted among the bytes to send.
    var hasUnacknowledgedFIN: Bool { hasLocalFIN && self != .finWait2 }

    /// Whether the peer's FIN has arrived.
    var hasRemoteFIN: Bool {
        switch self {
        case .closeWait, .closing, .lastAck: true
        default: false
        }
    }
}
