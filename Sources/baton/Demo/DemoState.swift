import BatonCore
import TLSRecords

/// How far the demo's stream is. It travels with the connection as its application state.
struct DemoState {
    /// Moves that have happened, of `wantedMoves`.
    var moves: UInt64 = 0
    var wantedMoves: UInt64
    /// Plaintext bytes that will flow, both ways together.
    var totalBytes: UInt64
    /// Bytes carried from the client to the backend, and back.
    var bytesUp: UInt64 = 0
    var bytesDown: UInt64 = 0
    /// When the last byte was read from or written to the client: CLOCK_MONOTONIC in nanoseconds, one clock for all
    /// processes of a machine.
    var lastByteAt: UInt64 = 0

    init(wantedMoves: Int, totalBytes: Int) {
        self.wantedMoves = UInt64(wantedMoves)
        self.totalBytes = UInt64(totalBytes)
    }

    /// How many bytes will have flowed at the next move: an arbitrary point in the stretch that belongs to it; `nil` when
    /// there is none left.
    func nextMove() -> UInt64? {
        guard moves < wantedMoves else { return nil }
        let stretch = max(1, totalBytes / (wantedMoves + 1))
        return min(totalBytes - 1, stretch * (moves + 1) - UInt64.random(in: 0..<stretch))
    }

    // MARK: Application state

    init?(_ bytes: [UInt8]) {
        let numbers: [UInt64]? = bytes.withUnsafeBytes { bytes in
            var reader = WireReader(bytes)
            let numbers = (0..<6).compactMap { _ in reader.uint64() }
            return numbers.count == 6 && reader.isAtEnd ? numbers : nil
        }
        guard let numbers else { return nil }
        moves = numbers[0]
        wantedMoves = numbers[1]
        totalBytes = numbers[2]
        bytesUp = numbers[3]
        bytesDown = numbers[4]
        lastByteAt = numbers[5]
    }

    var bytes: [UInt8] {
        [moves, wantedMoves, totalBytes, bytesUp, bytesDown, lastByteAt].flatMap { number in
            withUnsafeBytes(of: number.bigEndian) { Array($0) }
        }
    }
}
