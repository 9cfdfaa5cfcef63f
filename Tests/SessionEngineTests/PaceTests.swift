import Testing

@testable import SessionEngine

@Suite("The pace of a leg")
struct PaceTests {
    /// Reads as much as it may for `milliseconds`, in a loop that is called when it is told to.
    private func read(_ pace: inout Pace, from start: UInt64, for milliseconds: UInt64) -> (bytes: Int, turns: Int) {
        var (now, bytes, turns) = (start, 0, 0)
        while now < start + milliseconds {
            pace.release(at: now)
            guard pace.heldUntil == 0 else {
                now = pace.heldUntil
                continue
            }
            let most = min(65_536, pace.allowance(at: now))
            guard most > 0 else {
                pace.hold(at: now)
                continue
            }
            bytes += most
            pace.spend(most, at: now)
            turns += 1
        }
        return (bytes, turns)
    }

    @Test(
        "as many bytes pass in a second as the rate says, in few turns",
        arguments: [1_024, 4_096, 65_536, 1 << 20, 1 << 27] as [UInt64])
    func rate(rate: UInt64) {
        var pace = Pace()
        pace.set(rate, at: 1_000)
        let (bytes, turns) = read(&pace, from: 1_000, for: 10_000)
        let whole = Int(rate) * 10
        // As much beside as it begins with.
        #expect(bytes >= whole - Int(rate) - 4_096 && bytes <= whole + Int(rate) / 10 + 4_096, "\(bytes) of \(whole)")
        #expect(turns <= 210 + 2 * whole / 65_536, "\(turns)")
    }

    @Test("who has waited may have a quarter of a second's bytes at once, not more")
    func burst() {
        var pace = Pace()
        pace.set(1 << 20, at: 0)
        #expect(pace.allowance(at: 1_000_000) == 1 << 18)
        pace.spend(1 << 18, at: 1_000_000)
        #expect(pace.heldUntil == 1_000_050)
        pace.release(at: 1_000_049)
        #expect(pace.heldUntil != 0)
        pace.release(at: 1_000_050)
        #expect(pace.heldUntil == 0)
        // A clock that is behind gives nothing.
        #expect(pace.allowance(at: 0) == 0)
    }

    @Test("without a rate nothing is held, and a rate that is taken away lets go")
    func off() {
        var pace = Pace()
        #expect(!pace.isOn && pace.heldUntil == 0)
        pace.set(1_024, at: 10)
        pace.spend(1 << 20, at: 10)
        #expect(pace.heldUntil > 0)
        // The same rate once more changes nothing.
        pace.set(1_024, at: 20)
        #expect(pace.heldUntil > 0)
        pace.set(0, at: 20)
        #expect(!pace.isOn && pace.heldUntil == 0)
    }
}
