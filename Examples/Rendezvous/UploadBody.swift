import NIOCore

/// Finds the content in the bytes of an upload (RFC 9112 section 6). It is a value: half a chunk, and half the line before it,
/// go with the connection to its next owner.
struct UploadBody: Codable {
    private enum Phase: Codable, Equatable {
        case content(left: Int)
        case size
        case chunk(left: Int)
        case chunkEnd
        case trailer
        case ended
    }

    private static let longestLine = 1_024
    private var phase: Phase
    private var line: [UInt8] = []

    /// A body of so many bytes.
    static func counted(_ count: Int) -> UploadBody { UploadBody(phase: count == 0 ? .ended : .content(left: count)) }

    /// A body in chunks.
    static var chunked: UploadBody { UploadBody(phase: .size) }

    private init(phase: Phase) { self.phase = phase }

    var isEnded: Bool { phase == .ended }

    /// Takes the next piece of content out of `bytes`.
    ///
    /// - Returns: `nil` if there is none before more has come.
    mutating func next(_ bytes: inout ByteBuffer) throws(Refusal) -> ByteBuffer? {
        while bytes.readableBytes > 0 {
            switch phase {
            case .content(let left):
                let piece = bytes.readSlice(length: min(left, bytes.readableBytes))
                phase = left == piece?.readableBytes ? .ended : .content(left: left - (piece?.readableBytes ?? 0))
                return piece
            case .chunk(let left):
                let piece = bytes.readSlice(length: min(left, bytes.readableBytes))
                phase = left == piece?.readableBytes ? .chunkEnd : .chunk(left: left - (piece?.readableBytes ?? 0))
                return piece
            case .size:
                guard let text = try readLine(&bytes) else { return nil }
                let digits = text.prefix { $0 != ";" && $0 != " " }
                guard digits.count <= 15, digits.allSatisfy(\.isHexDigit), let size = Int(digits, radix: 16) else {
                    throw .badRequest("a chunk's size is no number")
                }
                phase = size == 0 ? .trailer : .chunk(left: size)
            case .chunkEnd:
                guard let text = try readLine(&bytes) else { return nil }
                guard text.isEmpty else { throw .badRequest("a chunk is longer than its size") }
                phase = .size
            case .trailer:
                guard let text = try readLine(&bytes) else { return nil }
                if text.isEmpty { phase = .ended }
            case .ended: return nil
            }
        }
        return nil
    }

    private mutating func readLine(_ bytes: inout ByteBuffer) throws(Refusal) -> String? {
        while let byte: UInt8 = bytes.readInteger() {
            if byte == UInt8(ascii: "\n") {
                defer { line = [] }
                if line.last == UInt8(ascii: "\r") { line.removeLast() }
                return String(decoding: line, as: UTF8.self)
            }
            guard line.count < Self.longestLine else { throw .badRequest("a chunk's head is too long") }
            line.append(byte)
        }
        return nil
    }
}
