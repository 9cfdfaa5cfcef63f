import Foundation

/// The file in pieces: generations of at most 64 symbols of 1,024 bytes each, the last symbol filled up with zeros.
struct SourceFile {
    static let symbolSize = 1_024
    static let symbolsPerGeneration = 64

    let length: Int
    let generations: [Generation]
    /// FNV-1a of the content, by which a successor knows that it has the same file.
    let fingerprint: UInt64

    init(_ path: String) throws {
        let bytes = [UInt8](try Data(contentsOf: URL(filePath: path), options: .mappedIfSafe))
        let size = Self.symbolSize * Self.symbolsPerGeneration
        length = bytes.count
        generations = stride(from: 0, to: bytes.count, by: size).enumerated().map { number, start in
            Generation(number: UInt32(number), bytes[start..<min(start + size, bytes.count)])
        }
        fingerprint = bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}
