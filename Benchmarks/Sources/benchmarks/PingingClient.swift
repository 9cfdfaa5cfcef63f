import Foundation
import Glibc
import Synchronization

/// One TLS client that exchanges messages of 64 bytes with an echo, one at a time, as fast as it can, on a thread of its own. What
/// stands still for a while shows as its longest round trip.
final class PingingClient: Sendable {
    private struct State {
        var longest: UInt64 = 0
        var count = 0
        var isStopped = false
        var failure: String?
    }

    private let state = Mutex(State())

    init(port: Int) throws {
        let client = try TLSEchoClient(ClientSocket("127.0.0.1", port: UInt16(port)))
        nonisolated(unsafe) let pinged = client
        Thread.detachNewThread { [self] in
            Program.makePrompt()
            let clock = ContinuousClock()
            while !state.withLock({ $0.isStopped }) {
                do {
                    let time = try clock.measure { try pinged.exchange() }
                    state.withLock { state in
                        state.longest = max(state.longest, UInt64(time / .nanoseconds(1)))
                        state.count += 1
                    }
                } catch {
                    return state.withLock { $0.failure = "\(error)" }
                }
            }
        }
    }

    func stop() { state.withLock { $0.isStopped = true } }

    /// The longest round trip since it was asked last, in milliseconds, when at least ten have come about since.
    func longest() throws -> Double {
        let before = state.withLock { $0.count }
        while true {
            let (count, failure) = state.withLock { ($0.count, $0.failure) }
            if let failure { throw BenchmarkError(failure) }
            if count >= before + 10 { break }
            usleep(1_000)
        }
        return state.withLock { state in
            defer { state.longest = 0 }
            return Double(state.longest) / 1_000_000
        }
    }
}
