/// Something that can be measured by itself, and yields rows of the table.
struct Benchmark {
    let name: String
    let run: () throws -> [Row]

    init(_ name: String, _ run: @escaping () throws -> [Row]) {
        self.name = name
        self.run = run
    }
}
