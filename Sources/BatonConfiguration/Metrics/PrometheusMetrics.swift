package import CoreMetrics
import Synchronization

/// A metrics backend that holds everything in memory and writes it in Prometheus' text format 0.0.4.
///
/// Counters become counters, meters and recorders without aggregation gauges, timers histograms in seconds, and
/// recorders with aggregation histograms in their own unit. A label is turned into a metric name by putting `_` for what
/// a name may not have. One name has one type: a metric that asks for another type under a name that is taken is given a
/// handler that counts for nobody, as is one that would be the 1001st series of its name. So neither a mistake nor a
/// hostile label value can break the page or fill the memory.
package final class PrometheusMetrics: Sendable {
    /// The most series, which is sets of label values, of one name.
    package static let seriesLimit = 1000

    /// Upper bounds in seconds that suit pauses from 10 µs to 10 s.
    package static let defaultBuckets: [Double] = [
        0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
        0.5, 1, 2.5, 5, 10,
    ]

    private let families = Mutex<[String: PrometheusFamily]>([:])
    private let descriptions: [String: String]
    private let buckets: [String: [Double]]

    /// Creates an empty registry.
    ///
    /// - Parameters:
    ///   - descriptions: the HELP text of each metric by its name; others have none.
    ///   - buckets: the upper bounds of histograms by their name, in any order; others have `defaultBuckets`.
    package init(descriptions: [String: String] = [:], buckets: [String: [Double]] = [:]) {
        self.descriptions = descriptions
        self.buckets = buckets.mapValues { bounds in Set(bounds.filter(\.isFinite)).sorted() }
    }

    /// The content type of what `exposition` returns.
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// Everything counted so far, sorted by name and labels.
    package func exposition() -> String {
        let families = families.withLock { $0.sorted { $0.key < $1.key } }
        var text = ""
        for (name, family) in families { family.write(name, description: descriptions[name], into: &text) }
        return text
    }

    private func series<Series: PrometheusSeries>(
        _ label: String, _ dimensions: [(String, String)], make: (_ name: String) -> Series
    ) -> Series {
        let name = PrometheusLabels.metricName(label)
        let labels = PrometheusLabels(dimensions)
        return families.withLock { families in
            if let family = families[name] {
                let isSameType = type(of: family.sample) == Series.self
                if isSameType, let existing = family.series[labels.text] as? Series { return existing }
                guard isSameType, family.series.count < Self.seriesLimit else { return make(name) }
            }
            let series = make(name)
            families[name, default: PrometheusFamily(sample: series)].series[labels.text] = series
            return series
        }
    }

    private func forget(_ series: any PrometheusSeries) {
        families.withLock { families in
            for (name, family) in families {
                guard let labels = family.series.first(where: { $0.value === series })?.key else { continue }
                families[name]?.series[labels] = nil
                if families[name]?.series.isEmpty == true { families[name] = nil }
                return
            }
        }
    }

    private func histogram(_ label: String, _ dimensions: [(String, String)]) -> PrometheusHistogram {
        series(label, dimensions) { PrometheusHistogram(bounds: buckets[$0] ?? Self.defaultBuckets) }
    }
}

extension PrometheusMetrics: MetricsFactory {
    /// A counter of whole numbers.
    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(label, dimensions) { _ in PrometheusCounter() }
    }

    /// A counter of fractions.
    package func makeFloatingPointCounter(
        label: String, dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        series(label, dimensions) { _ in PrometheusCounter() }
    }

    /// A gauge.
    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        series(label, dimensions) { _ in PrometheusGauge() }
    }

    /// A histogram, or a gauge without aggregation.
    package func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        if aggregate { histogram(label, dimensions) } else { series(label, dimensions) { _ in PrometheusGauge() } }
    }

    /// A histogram in seconds.
    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        histogram(label, dimensions)
    }

    /// Takes the series out of the page.
    package func destroyCounter(_ handler: any CounterHandler) { forgetHandler(handler) }
    /// Takes the series out of the page.
    package func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { forgetHandler(handler) }
    /// Takes the series out of the page.
    package func destroyMeter(_ handler: any MeterHandler) { forgetHandler(handler) }
    /// Takes the series out of the page.
    package func destroyRecorder(_ handler: any RecorderHandler) { forgetHandler(handler) }
    /// Takes the series out of the page.
    package func destroyTimer(_ handler: any TimerHandler) { forgetHandler(handler) }

    private func forgetHandler(_ handler: AnyObject) {
        if let series = handler as? any PrometheusSeries { forget(series) }
    }
}
