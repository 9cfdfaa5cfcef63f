/// All series of one metric name, which have one type.
struct PrometheusFamily: Sendable {
    /// A series of the type of all.
    let sample: any PrometheusSeries
    /// The series by their labels as text.
    var series: [String: any PrometheusSeries] = [:]

    init(sample: any PrometheusSeries) {
        self.sample = sample
    }

    func write(_ name: String, description: String?, into text: inout String) {
        if let description {
            text += "# HELP \(name) \(PrometheusLabels.escaped(description, quotes: false))\n"
        }
        text += "# TYPE \(name) \(type(of: sample).typeName)\n"
        for (labels, series) in series.sorted(by: { $0.key < $1.key }) {
            series.write(name, labels: labels, into: &text)
        }
    }
}

/// One line of values, or one histogram.
protocol PrometheusSeries: AnyObject, Sendable {
    /// What follows the name in the TYPE line.
    static var typeName: String { get }
    /// Writes the sample lines; `labels` are without braces.
    func write(_ name: String, labels: String, into text: inout String)
}

extension PrometheusSeries {
    func line(_ name: String, _ labels: String, _ value: String) -> String {
        labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n"
    }
}

extension Double {
    /// The number as Prometheus reads it.
    var prometheusText: String {
        if isNaN { return "NaN" }
        if isInfinite { return self > 0 ? "+Inf" : "-Inf" }
        // 1.0 and 1 are the same to a reader, and counters are whole.
        return Int64(exactly: self).map { "\($0)" } ?? "\(self)"
    }
}
