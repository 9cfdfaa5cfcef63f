import Foundation
import Testing

/// Grafana itself is in no Debian package: this is what can be said of the dashboard without it.
@Suite("The dashboard for Grafana")
struct GrafanaTests {
    private struct Dashboard: Decodable {
        struct Source: Decodable, Equatable {
            var type: String
            var uid: String
        }

        struct Target: Decodable {
            var refId: String
            var expr: String
            var legendFormat: String
            var datasource: Source
        }

        struct Place: Decodable {
            var h: Int
            var w: Int
            var x: Int
            var y: Int
        }

        struct Panel: Decodable {
            var id: Int
            var type: String
            var title: String
            var gridPos: Place
            var datasource: Source?
            var targets: [Target]?
        }

        struct Variable: Decodable {
            var name: String
            var type: String
        }

        struct Annotation: Decodable {
            var name: String
            var expr: String?
            var datasource: Source
        }

        struct Templating: Decodable { var list: [Variable] }
        struct Annotations: Decodable { var list: [Annotation] }

        var uid: String
        var title: String
        var schemaVersion: Int
        var panels: [Panel]
        var templating: Templating
        var annotations: Annotations

        /// All queries, each with its name for a message.
        var queries: [(name: String, text: String)] {
            panels.flatMap { panel in (panel.targets ?? []).map { (panel.title, $0.expr) } }
                + annotations.list.compactMap { annotation in annotation.expr.map { (annotation.name, $0) } }
        }
    }

    private static func dashboard() throws -> Dashboard {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return try JSONDecoder().decode(
            Dashboard.self, from: try Data(contentsOf: root.appending(path: "docs/grafana.json")))
    }

    @Test("every panel has a number of its own and a place of its own within 24 columns")
    func places() throws {
        let dashboard = try Self.dashboard()
        #expect(dashboard.schemaVersion >= 39 && !dashboard.uid.isEmpty && !dashboard.title.isEmpty)
        #expect(Set(dashboard.panels.map(\.id)).count == dashboard.panels.count)
        var taken: Set<[Int]> = []
        for panel in dashboard.panels {
            let place = panel.gridPos
            #expect(place.x >= 0 && place.w > 0 && place.h > 0 && place.x + place.w <= 24, "\(panel.title)")
            for x in place.x..<place.x + place.w {
                for y in place.y..<place.y + place.h {
                    #expect(taken.insert([x, y]).inserted, "\(panel.title) stands on another")
                }
            }
        }
    }

    @Test("it asks whichever Prometheus is chosen, for the servers that are chosen")
    func queries() throws {
        let dashboard = try Self.dashboard()
        #expect(dashboard.templating.list.map(\.name) == ["datasource", "job", "instance"])
        #expect(dashboard.templating.list.first?.type == "datasource")
        let chosen = Dashboard.Source(type: "prometheus", uid: "${datasource}")
        for panel in dashboard.panels where panel.type != "row" {
            #expect(panel.datasource == chosen && panel.targets?.isEmpty == false, "\(panel.title)")
            #expect(
                panel.targets?.allSatisfy {
                    $0.datasource == chosen && !$0.legendFormat.isEmpty || panel.type == "stat"
                } == true)
            #expect(Set(panel.targets?.map(\.refId) ?? []).count == panel.targets?.count)
        }
        let annotations = dashboard.annotations.list.filter { $0.expr != nil }
        #expect(annotations.allSatisfy { $0.datasource == chosen } && annotations.first?.name == "Upgrades")
        for (name, text) in dashboard.queries {
            #expect(text.count { $0 == "(" } == text.count { $0 == ")" }, "\(name): \(text)")
            let metrics = text.matches(of: /baton_[a-z_]+/)
            #expect(!metrics.isEmpty, "\(name)")
            for metric in metrics {
                let selector = text[metric.range.upperBound...]
                #expect(selector.hasPrefix(#"{job=~"$job", instance=~"$instance""#), "\(name): \(text)")
            }
            // A rate of a gauge, and a counter without one, say nothing; what has been counted in all is shown as it stands.
            for metric in text.matches(of: /(rate|increase)\((baton_[a-z_]+)/) {
                #expect(metric.2.hasSuffix("_total") || metric.2.hasSuffix("_bucket"), "\(name): \(text)")
            }
        }
    }
}
