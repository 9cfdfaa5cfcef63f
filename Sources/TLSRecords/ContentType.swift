/// The type of a record (RFC 8446 section 5.1, RFC 5246 section 6.2.1).
package enum ContentType: UInt8, Sendable {
    case changeCipherSpec = 20
    case alert = 21
    case handshake = 22
    case applicationData = 23
}
