import Foundation
import StockPeers
import Testing

@Suite("baton check", .serialized)
struct CheckTests {
    private let files: TemporaryFiles
    /// What a good file has besides.
    private let start: String

    init() throws {
        files = try TemporaryFiles()
        start = "control: \(files.path("c.sock"))\n"
    }

    private func check(
        _ yaml: String, _ more: [String] = [], _ variables: [String: String] = [:]
    ) throws -> Command.Result {
        _ = try files.write(start + yaml, "b.yaml")
        return try Command(["check", "b.yaml"] + more, variables: variables, directory: files.path("")).run()
    }

    @Test("a good file is good, by its bare name, by --config and by BATON_CONFIG")
    func good() throws {
        let good = try check("listeners: {a: {address: '127.0.0.1:0'}}\n")
        #expect(good.status == 0 && good.output.hasSuffix("b.yaml is good\n"), "\(good)")
        for (arguments, variables) in [(["--config", "b.yaml"], [:]), ([], ["BATON_CONFIG": "b.yaml"])] {
            let result = try Command(
                ["check"] + arguments, variables: variables, directory: files.path("")
            ).run()
            #expect(result.status == 0 && result.output.hasSuffix("b.yaml is good\n"), "\(result)")
        }
    }

    @Test("each problem is a line with file, line and key, and what to do")
    func problems() throws {
        let result = try check(
            """
            worker: 2
            listeners:
              https:
                adress: :8443
                alpn: [h2]
            limits:
              connections: 5k

            """)
        #expect(result.status == 1 && result.output.isEmpty)
        #expect(
            result.complaints.sorted() == [
                "b.yaml:2: worker: there is no such key; the nearest is workers",
                "b.yaml:4: listeners.https.address: is missing; it must be HOST:PORT, [IPV6]:PORT, :PORT or unix:/PATH",
                "b.yaml:5: listeners.https.adress: there is no such key; the nearest is listeners.https.address",
                "b.yaml:6: listeners.https.alpn: offers h2, which the built-in page does not speak; take h2 out",
                "b.yaml:8: limits.connections: '5k' is not allowed; it must be a number from 1 to 10000000",
            ])
    }

    @Test("YAML that is none is told with its line")
    func syntax() throws {
        let result = try check("listeners:\n  a: {address: ':443'\nworkers: 2\n")
        #expect(result.status == 1 && result.complaints.count == 1)
        #expect(
            result.errors.contains(#/^b\.yaml:[345]: the file cannot be read as YAML keys and values/#),
            "\(result.errors)")
    }

    @Test("files that are not there, or not what they should be, are told where they are named, all at once")
    func certificates() throws {
        let missing = try check(
            """
            listeners: {a: {address: '127.0.0.1:0', client-auth: require, client-ca: /nonexistent/ca.pem}}
            certificates:
              a:
                chain: /nonexistent/a.pem
                key: /nonexistent/a.key

            """)
        #expect(
            missing.complaints.map { $0.prefix { $0 != " " } } == ["b.yaml:5:", "b.yaml:6:", "b.yaml:2:"],
            "\(missing.errors)")
        let (one, other) = (
            try Credentials.shared.write("p256", in: files), try Credentials.shared.write("rsa", in: files)
        )
        let text = try files.write("no certificate\n", "text.pem")
        let bad = try check(
            """
            listeners: {a: {address: '127.0.0.1:0'}}
            certificates:
              a:
                chain: \(text)
                key: \(one.key)
              b:
                chain: \(one.certificate)
                key: \(other.key)

            """)
        #expect(bad.status == 1 && bad.complaints.count == 2, "\(bad.errors)")
        #expect(bad.complaints.first?.hasPrefix("b.yaml:5: certificates.a.chain: ") == true, "\(bad.errors)")
        #expect(bad.complaints.last?.contains(#/^b\.yaml:[789]: certificates\.b\./#) == true, "\(bad.errors)")
    }

    @Test("the environment counts, and a variable that is no setting is told")
    func environment() throws {
        let good = try check("", [], ["BATON_LISTEN": "127.0.0.1:0", "BATON_LISTN": "hunter2"])
        #expect(good.status == 0)
        #expect(
            good.output.contains("warning: BATON_LISTN in the environment is no setting; the nearest is BATON_LISTEN\n")
        )
        let bad = try check("", [], ["BATON_LISTEN": "127.0.0.1:0", "BATON_WORKERS": "many"])
        #expect(bad.status == 1)
        #expect(bad.errors.hasPrefix("BATON_WORKERS: workers: 'many' is not allowed"), "\(bad.errors)")
        #expect(!(good.output + good.errors + bad.errors).contains("hunter2"))
    }

    @Test("--json has each problem in its parts")
    func json() throws {
        struct Answer: Decodable {
            struct Finding: Decodable, Equatable {
                var file: String?
                var line: Int?
                var variable: String?
                var key: String?
                var code: String?
            }
            var valid: Bool
            var problems: [String]
            var findings: [Finding]
        }
        let result = try check(
            "workers: 0\nlisteners: {a: {address: '127.0.0.1:0'}}\n", ["--json"], ["BATON_BACKLOG": "0"])
        #expect(result.status == 1 && result.errors.isEmpty)
        let answer = try JSONDecoder().decode(Answer.self, from: Data(result.output.utf8))
        #expect(!answer.valid && answer.problems.count == 2)
        #expect(
            answer.findings == [
                .init(file: "b.yaml", line: 2, key: "workers", code: "badValue"),
                .init(variable: "BATON_BACKLOG", key: "backlog", code: "badValue"),
            ])
    }
}
