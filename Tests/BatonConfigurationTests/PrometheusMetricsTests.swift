import BatonConfiguration
import CoreMetrics
import Testing

@Suite("The Prometheus page")
struct PrometheusMetricsTests {
    @Test("shows counters, gauges and histograms in the text format, sorted")
    func page() {
        let metrics = PrometheusMetrics(
            descriptions: ["baton_connections": "Open connections.", "baton_pause_seconds": "a\\b\nc \"d\""],
            buckets: ["baton_pause_seconds": [0.5, 0.001, 0.5, .infinity]])
        Counter(label: "baton_handshakes_total", dimensions: [("version", "1.3")], factory: metrics).increment(by: 2)
        Counter(label: "baton_handshakes_total", dimensions: [("version", "1.2")], factory: metrics).increment()
        Gauge(label: "baton_connections", factory: metrics).record(7)
        let timer = Timer(label: "baton_pause_seconds", factory: metrics)
        for nanoseconds in [1_000_000, 1_000_001, 2_000_000_000] as [Int64] { timer.recordNanoseconds(nanoseconds) }
        #expect(
            metrics.exposition() == #"""
                # HELP baton_connections Open connections.
                # TYPE baton_connections gauge
                baton_connections 7
                # TYPE baton_handshakes_total counter
                baton_handshakes_total{version="1.2"} 1
                baton_handshakes_total{version="1.3"} 2
                # HELP baton_pause_seconds a\\b\nc "d"
                # TYPE baton_pause_seconds histogram
                baton_pause_seconds_bucket{le="0.001"} 1
                baton_pause_seconds_bucket{le="0.5"} 2
                baton_pause_seconds_bucket{le="+Inf"} 3
                baton_pause_seconds_sum 2.002000001
                baton_pause_seconds_count 3

                """#)
    }

    @Test("a meter goes up and down, a fractional counter only up, and a reset starts again")
    func kinds() {
        let metrics = PrometheusMetrics()
        let meter = Meter(label: "m", factory: metrics)
        meter.increment(by: 5)
        meter.decrement(by: 1.5)
        let counter = FloatingPointCounter(label: "f", factory: metrics)
        counter.increment(by: 0.25)
        counter.increment(by: 0.5)
        let whole = Counter(label: "w", factory: metrics)
        whole.increment(by: Int64.max)
        whole.increment(by: Int64.max)
        #expect(
            metrics.exposition() == """
                # TYPE f counter
                f 0.75
                # TYPE m gauge
                m 3.5
                # TYPE w counter
                w 9223372036854775807

                """)
        whole.reset()
        #expect(metrics.exposition().contains("\nw 0\n"))
    }

    @Test("a label value cannot break out of its line")
    func escaping() {
        let metrics = PrometheusMetrics()
        Counter(label: "c", dimensions: [("sni", "a\"} 1\nevil 2\\\r")], factory: metrics).increment()
        #expect(metrics.exposition() == "# TYPE c counter\n" + #"c{sni="a\"} 1\nevil 2\\ "} 1"# + "\n")
    }

    @Test("a name that is not one is made one")
    func names() {
        let metrics = PrometheusMetrics()
        Counter(label: "http.requests-é", dimensions: [("le", "x"), ("__name__", "y"), ("0a", "z")], factory: metrics)
            .increment()
        #expect(metrics.exposition().contains(#"http_requests___{_0a="z",le_="x",x_name__="y"} 1"#))
        #expect(metrics.exposition().split(separator: "\n").count == 2)
    }

    @Test("two handlers of one name and the same labels in any order are one series")
    func sameSeries() {
        let metrics = PrometheusMetrics()
        Counter(label: "c", dimensions: [("a", "1"), ("b", "2")], factory: metrics).increment()
        Counter(label: "c", dimensions: [("b", "2"), ("a", "1")], factory: metrics).increment()
        #expect(metrics.exposition() == "# TYPE c counter\nc{a=\"1\",b=\"2\"} 2\n")
    }

    @Test("a name keeps its type: another type under it is not shown")
    func conflict() {
        let metrics = PrometheusMetrics()
        Counter(label: "x", factory: metrics).increment()
        Gauge(label: "x", factory: metrics).record(9)
        Timer(label: "x", factory: metrics).recordNanoseconds(1)
        #expect(metrics.exposition() == "# TYPE x counter\nx 1\n")
    }

    @Test("a hostile number of label values does not fill the memory")
    func cardinality() {
        let metrics = PrometheusMetrics()
        for i in 0..<3000 { Counter(label: "c", dimensions: [("sni", "\(i)")], factory: metrics).increment() }
        #expect(metrics.exposition().split(separator: "\n").count == 1 + PrometheusMetrics.seriesLimit)
        Counter(label: "c", dimensions: [("sni", "5")], factory: metrics).increment()
        #expect(metrics.exposition().contains("c{sni=\"5\"} 2\n"))
    }

    @Test("a destroyed series is gone, and its place is free")
    func destroy() {
        let metrics = PrometheusMetrics()
        let counter = Counter(label: "c", factory: metrics)
        counter.increment()
        counter.destroy()
        #expect(metrics.exposition().isEmpty)
        Gauge(label: "c", factory: metrics).record(Double.infinity)
        #expect(metrics.exposition() == "# TYPE c gauge\nc +Inf\n")
    }

    @Test("nothing is lost when many tasks count at a time")
    func concurrency() async {
        let metrics = PrometheusMetrics()
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for i in 0..<1000 {
                        Counter(label: "c", dimensions: [("n", "\(i % 3)")], factory: metrics).increment()
                        Timer(label: "t", factory: metrics).recordNanoseconds(Int64(task))
                        if i.isMultiple(of: 100) { _ = metrics.exposition() }
                    }
                }
            }
        }
        let page = metrics.exposition()
        #expect(page.contains("c{n=\"0\"} 2672\n") && page.contains("c{n=\"1\"} 2664\n"))
        #expect(page.contains("t_count 8000\n"))
    }
}
