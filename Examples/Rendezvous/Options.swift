import Foundation

/// The words of the command line.
struct Options {
    let cluster: Cluster
    let port: Int
    let certificate: String
    let key: String
    /// How many tokens may be in use at a time.
    let tokens: Int

    init(_ arguments: [String]) throws {
        var values = ["tokens": "10000"]
        var words = arguments.dropFirst()
        while let name = words.popFirst() {
            guard name.hasPrefix("--"), let value = words.popFirst() else { Self.explain("\(name) has no value") }
            values[String(name.dropFirst(2))] = value
        }
        func value(_ name: String) -> String {
            guard let value = values[name] else { Self.explain("--\(name) is missing") }
            return value
        }
        let fronts = value("fronts").split(separator: ",").map(String.init)
        guard fronts.contains(value("front")) else { Self.explain("--fronts does not name \(value("front"))") }
        guard let port = Int(value("port")), 0...65_535 ~= port else { Self.explain("--port is a number to 65535") }
        guard let tokens = Int(value("tokens")), tokens > 0 else { Self.explain("--tokens is a number from 1") }
        cluster = Cluster(front: value("front"), fronts: fronts, directory: value("cluster"))
        self.port = port
        self.tokens = tokens
        certificate = value("cert")
        key = value("key")
    }

    private static func explain(_ problem: String) -> Never {
        print(
            """
            \(problem); use: Rendezvous --front NAME --fronts NAME,NAME --cluster DIR --port N --cert FILE --key FILE \
            [--tokens N]
            """)
        exit(2)
    }
}
