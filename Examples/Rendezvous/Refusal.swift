import NIOCore

/// Why a request is not served. The connection ends with the answer.
struct Refusal: Error {
    let status: String
    let text: String

    static func badRequest(_ text: String) -> Refusal { Refusal(status: "400 Bad Request", text: text) }
    static func notFound(_ text: String) -> Refusal { Refusal(status: "404 Not Found", text: text) }
    static func methodNotAllowed(_ text: String) -> Refusal { Refusal(status: "405 Method Not Allowed", text: text) }
    static func conflict(_ text: String) -> Refusal { Refusal(status: "409 Conflict", text: text) }
    static func gone(_ text: String) -> Refusal { Refusal(status: "410 Gone", text: text) }
    static func upgradeRequired(_ text: String) -> Refusal { Refusal(status: "426 Upgrade Required", text: text) }
    static func misdirected(_ text: String) -> Refusal { Refusal(status: "421 Misdirected Request", text: text) }
    static func unavailable(_ text: String) -> Refusal { Refusal(status: "503 Service Unavailable", text: text) }
    static func timeout(_ text: String) -> Refusal { Refusal(status: "504 Gateway Timeout", text: text) }

    /// Answers with it.
    func answer(_ context: ChannelHandlerContext) { Self.answer(context, status, text) }

    /// Answers, and ends the connection when the peer has the answer.
    static func answer(_ context: ChannelHandlerContext, _ status: String, _ text: String) {
        let fields = "Content-Type: text/plain\r\nContent-Length: \(text.utf8.count + 1)\r\nConnection: close\r\n"
        let answer = ByteBuffer(string: "HTTP/1.1 \(status)\r\n\(fields)\r\n\(text)\n")
        context.writeAndFlush(NIOAny(answer), promise: nil)
        context.close(promise: nil)
    }
}
