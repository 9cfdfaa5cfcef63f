import CoreMetrics
import Synchronization

/// Adds up what is told to it, by name.
final class TestMetrics: MetricsFactory {
    private final class Handler: CounterHandler, MeterHandler, TimerHandler, RecorderHandler {
        private let sum = Mutex<Int64>(0)

        var value: Int64 { sum.withLock { $0 } }

        func increment(by amount: Int64) { sum.withLock { $0 += amount } }
        func increment(by amount: Double) { sum.withLock { $0 += Int64(amount) } }
        func decrement(by amount: Double) { sum.withLock { $0 -= Int64(amount) } }
        func set(_ value: Int64) { sum.withLock { $0 = value } }
        func set(_ value: Double) { sum.withLock { $0 = Int64(value) } }
        func recordNanoseconds(_ duration: Int64) { increment(by: duration) }
        func record(_ value: Int64) { increment(by: value) }
        func record(_ value: Double) { increment(by: value) }
        func reset() { sum.withLock { $0 = 0 } }
    }

    private let handlers = Mutex<[String: Handler]>([:])

    subscript(label: String) -> Int64 { handlers.withLock { $0[label]?.value ?? 0 } }

    private func handler(_ label: String) -> Handler {
        handlers.withLock { handlers in
            let handler = handlers[label] ?? Handler()
            handlers[label] = handler
            return handler
        }
    }

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler { handler(label) }
    func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler { handler(label) }
    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler { handler(label) }
    func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        handler(label)
    }
    func destroyCounter(_ handler: any CounterHandler) {}
    func destroyMeter(_ handler: any MeterHandler) {}
    func destroyTimer(_ handler: any TimerHandler) {}
    func destroyRecorder(_ handler: any RecorderHandler) {}
}
