import CoreMetrics
import Synchronization

/// A number that only grows, until the process ends. Whole steps and fractions are kept apart, so that whole ones stay
/// exact beyond 2^53.
final class PrometheusCounter: PrometheusSeries, CounterHandler, FloatingPointCounterHandler {
    static let typeName = "counter"

    private struct Value {
        var whole: Int64 = 0
        var fraction: Double = 0
    }

    private let value = Mutex(Value())

    func increment(by amount: Int64) {
        guard amount > 0 else { return }
        value.withLock { value in
            let (sum, overflow) = value.whole.addingReportingOverflow(amount)
            value.whole = overflow ? .max : sum
        }
    }

    func increment(by amount: Double) {
        guard amount > 0, amount.isFinite else { return }
        value.withLock { $0.fraction += amount }
    }

    func reset() {
        value.withLock { $0 = Value() }
    }

    func write(_ name: String, labels: String, into text: inout String) {
        let value = value.withLock { $0 }
        let number = value.fraction == 0 ? "\(value.whole)" : (Double(value.whole) + value.fraction).prometheusText
        text += line(name, labels, number)
    }
}
