import SampleArena

/// Damages a sample arena as the input says and has it taken over twice: nothing may trap, and the second owner must find
/// possible what the first one has accepted.
func fuzzArena(_ input: UnsafeRawBufferPointer) -> CInt {
    do {
        let (_, lost) = try ArenaDamage(reading: input).strike(seed: UInt64(input.count))
        precondition(lost.isEmpty, "lost by the second owner: \(lost.map(\.reason))")
    } catch {
        fatalError("\(error)")
    }
    return 0
}
