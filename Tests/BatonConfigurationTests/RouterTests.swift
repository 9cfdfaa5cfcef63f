import Testing

@testable import BatonConfiguration

@Suite("The router")
struct RouterTests {
    private func route(
        _ target: String, listeners: [String] = [], names: [String] = [], alpn: [String] = [], methods: [String] = [],
        path: String? = nil
    ) throws -> Route {
        var route = Route()
        route.target = try #require(Target(target))
        route.listeners = listeners
        route.serverNames = try names.map { try #require(ServerNamePattern($0)) }
        (route.alpn, route.methods, route.path) = (alpn, methods, path)
        return route
    }

    private func chosen(
        _ router: Router, listener: String = "a", name: String? = nil, alpn: String? = nil, method: String = "GET",
        target: String? = nil
    ) -> String? {
        let facts = Router.Facts(
            listener: listener, hello: .init(serverName: name, applicationProtocol: alpn),
            request: target.map { RequestLine(method: method, target: $0) })
        if case .target(_, let route) = router.decide(facts) { return route }
        return nil
    }

    @Test("asks for nothing when nothing depends on it")
    func immediate() throws {
        let router = try Router(routes: ["all": route("echo")])
        #expect(router.decide(.init(listener: "a")) == .target(.echo, route: "all"))
        #expect(Router(routes: [:]).decide(.init(listener: "a")) == .noRoute)
    }

    @Test("asks for the ClientHello, then for the request line, and only as long as they matter")
    func needs() throws {
        let router = try Router(routes: [
            "api": route("api", names: ["api.example"], path: "/v1"), "rest": route("hello"),
            "plain": route("echo", listeners: ["plain"]),
        ])
        #expect(router.decide(.init(listener: "a")) == .needs(.clientHello))
        #expect(router.decide(.init(listener: "plain")) == .target(.echo, route: "plain"))
        #expect(
            router.decide(.init(listener: "a", hello: .init(serverName: "other"))) == .target(.hello, route: "rest"))
        let api = Router.Hello(serverName: "api.example")
        #expect(router.decide(.init(listener: "a", hello: api)) == .needs(.requestLine))
        #expect(
            router.decide(.init(listener: "a", hello: api, request: RequestLine(method: "GET", target: "/v2")))
                == .target(.hello, route: "rest"))
    }

    @Test("a route with only a path reads the request behind the handshake")
    func requestBehindHello() throws {
        let router = try Router(routes: ["x": route("echo", path: "/x")])
        #expect(router.decide(.init(listener: "a")) == .needs(.clientHello))
        #expect(router.decide(.init(listener: "a", hello: .init())) == .needs(.requestLine))
        #expect(
            router.decide(.init(listener: "a", hello: .init(), request: RequestLine(method: "GET", target: "/y")))
                == .noRoute)
    }

    @Test("an exact name comes before a wildcard, a longer wildcard before a shorter, any before none")
    func names() throws {
        let router = try Router(routes: [
            "none": route("hello"), "short": route("hello", names: ["*.example"]),
            "long": route("hello", names: ["*.b.example"]), "exact": route("hello", names: ["a.b.example"]),
        ])
        #expect(chosen(router, name: "a.b.example") == "exact")
        #expect(chosen(router, name: "A.B.Example.") == "exact")
        #expect(chosen(router, name: "c.b.example") == "long")
        #expect(chosen(router, name: "x.y.b.example") == "long")
        #expect(chosen(router, name: "b.example") == "short")
        #expect(chosen(router, name: "example") == "none")
        #expect(chosen(router, name: "notexample") == "none")
        #expect(chosen(router, name: ".example") == "none")
        #expect(chosen(router) == "none")
    }

    @Test("the listener comes before the name, the name before ALPN, ALPN before the path, the path before the method")
    func order() throws {
        let router = try Router(routes: [
            "listener": route("hello", listeners: ["b"]), "name": route("hello", names: ["x.example"]),
            "alpn": route("hello", alpn: ["h2"]), "path": route("hello", path: "/p"),
            "method": route("hello", methods: ["POST"]), "rest": route("hello"),
        ])
        #expect(
            chosen(router, listener: "b", name: "x.example", alpn: "h2", method: "POST", target: "/p") == "listener")
        #expect(chosen(router, name: "x.example", alpn: "h2", method: "POST", target: "/p") == "name")
        #expect(chosen(router, alpn: "h2", method: "POST", target: "/p") == "alpn")
        #expect(chosen(router, alpn: "http/1.1", method: "POST", target: "/p") == "path")
        #expect(chosen(router, method: "POST", target: "/q") == "method")
        #expect(chosen(router, method: "post", target: "/q") == "rest")
    }

    @Test("a path stands for itself and what is below it, the longest first")
    func paths() throws {
        let router = try Router(routes: [
            "api": route("hello", path: "/api"), "v2": route("hello", path: "/api/v2"),
            "root": route("hello", path: "/"),
        ])
        #expect(chosen(router, target: "/api") == "api")
        #expect(chosen(router, target: "/api?x=/api/v2") == "api")
        #expect(chosen(router, target: "/api/v2/x") == "v2")
        #expect(chosen(router, target: "/api/v22") == "api")
        #expect(chosen(router, target: "/apis") == "root")
        #expect(chosen(router, target: "http://h:80/api/v2") == "v2")
        #expect(chosen(router, target: "http://h") == "root")
        #expect(chosen(router, target: "/%61pi") == "root")
        #expect(chosen(router, target: "/apis/../api") == "root")
        #expect(chosen(router, target: "/api/../apis") == "api")
        #expect(chosen(router, target: "*") == nil)
        #expect(chosen(router, method: "CONNECT", target: "h:443") == nil)
    }

    @Test("routes that ask for the very same are found, others are not")
    func conflicts() throws {
        let pairs = try Router.conflicts(in: [
            "a": route("hello", names: ["x.example", "y.example"], path: "/p"),
            "b": route("echo", names: ["y.example", "x.example"], path: "/p"),
            "c": route("echo", names: ["y.example"], methods: ["GET"], path: "/p"),
            "d": route("echo", names: ["*.example"], path: "/p"),
        ])
        #expect(pairs.map { [$0.0, $0.1] } == [["a", "b"]])
    }

    @Test(
        "a name that is no host name hurts nobody",
        arguments: ["", ".", "..", "*", "*.example", "\0", "é.example", String(repeating: "a.", count: 5000)])
    func hostileNames(name: String) throws {
        let router = try Router(routes: ["w": route("echo", names: ["*.example.com"]), "rest": route("hello")])
        #expect(chosen(router, name: name) == "rest")
    }
}

@Suite("A request head")
struct RequestHeadTests {
    private func read(_ text: String, limit: Int = 8192) -> RequestHead.Reading {
        RequestHead.read(text.utf8Array, limit: limit)
    }

    @Test("is recognised as soon as its first line is there, and measured when it has ended, at every split")
    func pieces() throws {
        let line = "GET /a?b HTTP/1.1\r\n"
        let text = line + "Host: x\r\n\r\nbody"
        let (bytes, ended) = (text.utf8Array, text.utf8.count - 4)
        for n in 0...bytes.count {
            let reading = RequestHead.read(Array(bytes[..<n]), limit: 8192)
            if n < line.utf8.count {
                #expect(reading == .incomplete)
            } else if case .head(let head) = reading {
                #expect(head.line == RequestLine(method: "GET", target: "/a?b"))
                #expect(head.length == (n >= ended ? ended : nil))
            } else {
                Issue.record("\(n) bytes: \(reading)")
            }
        }
        #expect(RequestLine(method: "GET", target: "/a?b").path == "/a")
    }

    @Test(
        "what is not HTTP/1 is known at its first wrong byte",
        arguments: [
            " ", "\rG", "\u{16}\u{3}\u{1}", "GET\t/", "GET  /", "GET / HTTP/2", "GET / HTTP/1.x", "GET / FTP",
            "GET /\r\n",
            "EHLO mx\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "G\u{e9}T /", "GET /\u{1}", "GET / HTTP/1.1\rX",
            "GET / HTTP/1.1 \r\n", String(repeating: "A", count: 33),
        ])
    func notHTTP(text: String) {
        #expect(read(text) == .notHTTP)
    }

    @Test(
        "empty lines before it are skipped, and its line may end in a bare LF",
        arguments: ["\r\n", "\n", "\r\n\r\n\n", ""], ["\r\n", "\n"])
    func leniency(before: String, end: String) {
        let text = before + "GET /a HTTP/1.1" + end
        let bytes = text.utf8Array
        for n in 0..<bytes.count { #expect(RequestLine.read(Array(bytes[..<n]), limit: 64) == .incomplete) }
        let line = RequestLine(method: "GET", target: "/a")
        #expect(RequestLine.read(bytes + [1], limit: 64) == .line(line, length: bytes.count))
    }

    @Test("the preface of HTTP/2 is told apart, at every split")
    func preface() {
        let bytes = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8Array
        for n in 0...bytes.count {
            #expect(RequestLine.read(Array(bytes[..<n]), limit: 64) == (n < 14 ? .incomplete : .http2))
        }
    }

    @Test("the line is known before the header fields have come, however long they are")
    func lineAlone() {
        let text = "GET /a HTTP/1.1\r\nX: " + String(repeating: "x", count: 5000)
        #expect(
            RequestLine.read(text.utf8Array, limit: 512) == .line(RequestLine(method: "GET", target: "/a"), length: 17))
    }

    @Test("the old version is told apart")
    func version() {
        guard case .head(let head) = read("POST http://h/p HTTP/1.0\r\n\r\n") else {
            Issue.record("not read")
            return
        }
        #expect(head.line == RequestLine(method: "POST", target: "http://h/p", minorVersion: 0))
        #expect(head.length == 28 && head.line.path == "/p")
    }

    @Test("the limit holds for the line and for the head, and nothing beyond it is read")
    func limit() {
        #expect(read("GET /" + String(repeating: "a", count: 100), limit: 64) == .tooLong)
        #expect(read("GET / HTTP/1.1\r\n" + String(repeating: "a", count: 100), limit: 64) == .tooLong)
        #expect(read("GET / HTTP/1.1\r\n\r\n" + String(repeating: "a", count: 100), limit: 18) != .tooLong)
        #expect(read("GET / HTTP/1.1\r\n\r\n", limit: 17) == .tooLong)
        #expect(read("GET / HTTP/1.1\r\n", limit: 10) == .tooLong)
        #expect(read("GET", limit: 3) == .tooLong)
        #expect(read("GET", limit: 0) == .tooLong)
        #expect(read("", limit: 0) == .tooLong)
        #expect(read("GET", limit: -1) == .tooLong)
    }
}
