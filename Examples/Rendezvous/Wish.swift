/// What a request asks for.
enum Wish {
    case upload(UploadBody, total: Int?, waitsForContinue: Bool)
    case download
    case events

    /// Reads the wish and its token from a request's head.
    static func read(_ head: RequestHead) throws(Refusal) -> (token: String, wish: Wish) {
        let parts = head.path.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard let token = parts.first, isToken(token), parts.count == 1 || parts == [token, "events"] else {
            throw .notFound(
                "use PUT /TOKEN, GET /TOKEN, or a WebSocket at /TOKEN/events; TOKEN is 1 to 64 of A-Za-z0-9_-")
        }
        switch (head.method, parts.count) {
        case ("PUT", 1): return (token, try upload(head))
        case ("GET", 1): return (token, .download)
        case ("GET", _):
            guard head["upgrade"]?.lowercased() == "websocket", let key = head["sec-websocket-key"],
                head["sec-websocket-version"] == "13"
            else { throw .upgradeRequired("events are told by WebSocket (RFC 6455)") }
            // Two keys are longer: RequestHead joins them.
            guard key.utf8.count == 24, head["content-length"] == nil, head["transfer-encoding"] == nil else {
                throw .badRequest("a WebSocket's request has one key of 16 bytes, and no body")
            }
            return (token, .events)
        default: throw .methodNotAllowed("use PUT or GET")
        }
    }

    private static func upload(_ head: RequestHead) throws(Refusal) -> Wish {
        let waits = head["expect"]?.lowercased() == "100-continue"
        switch (head["content-length"], head["transfer-encoding"]?.lowercased()) {
        case (nil, "chunked"): return .upload(.chunked, total: nil, waitsForContinue: waits)
        case (let length?, nil):
            guard let count = Int(length), length.allSatisfy({ $0.isASCII && $0.isNumber }) else {
                throw .badRequest("Content-Length is no number")
            }
            return .upload(.counted(count), total: count, waitsForContinue: waits)
        default: throw .badRequest("an upload has a Content-Length, or is chunked")
        }
    }

    private static func isToken(_ text: String) -> Bool {
        1...64 ~= text.utf8.count
            && text.utf8.allSatisfy {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }
}
