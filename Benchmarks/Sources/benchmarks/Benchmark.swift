/// Something that can be measured by itself, and yields rows of the table.
struct Benchmark {
    let name: String
    /// Why it cannot be measured here.
    let obstacle: String?
    private let body: (String) throws -> [Row]

    init(_ name: String, unless obstacle: String? = nil, _ body: @escaping (String) throws -> [Row]) {
        self.name = name
        self.obstacle = obstacle
        self.body = body
    }

    init(_ name: String, _ body: @escaping () throws -> [Row]) {
        self.init(name, unless: nil) { _ in try body() }
    }

    func run() throws -> [Row] { try body(name) }
}
