import CoreMetrics
import Synchronization

/// How often values fell below each of some bounds, with their sum and number. As a timer it counts in seconds.
package final class PrometheusHistogram: PrometheusSeries, RecorderHandler, TimerHandler {
    package static let typeName = "histogram"

    private struct Value {
        /// One for each bound and one for what is above all; not cumulated.
        var counts: [UInt64]
        var sum: Double = 0
    }

    private let bounds: [Double]
    private let value: Mutex<Value>

    /// - Parameter bounds: finite and ascending.
    package init(bounds: [Double]) {
        self.bounds = bounds
        value = Mutex(Value(counts: [UInt64](repeating: 0, count: bounds.count + 1)))
    }

    package func record(_ number: Int64) { record(Double(number)) }

    package func record(_ number: Double) { record(number, count: 1, sum: number) }

    /// Records what was counted elsewhere: `count` values of about `number`, which together are `sum`.
    package func record(_ number: Double, count: UInt64, sum: Double) {
        guard !number.isNaN, !sum.isNaN else { return }
        // A bound belongs to its own bucket: `le` is 'less or equal'.
        let index = bounds.firstIndex { number <= $0 } ?? bounds.count
        value.withLock { value in
            value.counts[index] &+= count
            value.sum += sum
        }
    }

    package func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }

    package func write(_ name: String, labels: String, into text: inout String) {
        let value = value.withLock { $0 }
        let separator = labels.isEmpty ? "" : ","
        var total: UInt64 = 0
        for (bound, count) in zip(bounds + [.infinity], value.counts) {
            total &+= count
            text += line("\(name)_bucket", "\(labels)\(separator)le=\"\(bound.prometheusText)\"", "\(total)")
        }
        text += line("\(name)_sum", labels, value.sum.prometheusText)
        text += line("\(name)_count", labels, "\(total)")
    }
}
