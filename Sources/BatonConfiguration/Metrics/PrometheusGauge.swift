import CoreMetrics
import Synchronization

/// A number that goes up and down.
final class PrometheusGauge: PrometheusSeries, MeterHandler, RecorderHandler {
    static let typeName = "gauge"

    private let value = Mutex<Double>(0)

    func set(_ number: Int64) { set(Double(number)) }
    func set(_ number: Double) { value.withLock { $0 = number } }
    func increment(by amount: Double) { value.withLock { $0 += amount } }
    func decrement(by amount: Double) { value.withLock { $0 -= amount } }
    func record(_ number: Int64) { set(Double(number)) }
    func record(_ number: Double) { set(number) }

    func write(_ name: String, labels: String, into text: inout String) {
        text += line(name, labels, value.withLock { $0 }.prometheusText)
    }
}
