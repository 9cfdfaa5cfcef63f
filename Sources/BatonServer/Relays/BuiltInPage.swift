internal import BatonConfiguration
internal import Handoff
internal import Libc
internal import SessionEngine
internal import Synchronization

/// The built-in page: says which process and worker serves the connection, and how often this very connection has moved.
/// It is only read, and the same at every path.
final class BuiltInPage: Sendable {
    /// The worker's number; 0 until the worker has been told.
    let worker = Atomic<UInt32>(0)
    /// What was read last of a session: many requests may come on one connection.
    private let read = Mutex<(bytes: [UInt8], note: RelayNote?)>(([], nil))

    /// The answer to a question, from its status line on.
    func answer(_ question: PageQuestion) -> [UInt8] {
        switch question.finding {
        case .notHTTP: HTTPRefusal.response("400 Bad Request", "This page speaks HTTP/1.1.")
        case .tooLong: HTTPRefusal.response("431 Request Header Fields Too Large", "The request is too long.")
        case .request(let request):
            switch request.method {
            case .get: page(question, withBody: true)
            case .head: page(question, withBody: false)
            case .other:
                HTTPRefusal.response(
                    "405 Method Not Allowed", "This page is only read.", isLast: question.isLast)
            }
        }
    }

    private func page(_ question: PageQuestion, withBody: Bool) -> [UInt8] {
        let note = read.withLock { read in
            if read.bytes != question.note { read = (question.note, RelayNote(question.note)) }
            return read.note
        }
        let moves = (note?.metadata.moves ?? 0) &+ question.handovers
        let secured = note?.security.map { "TLS \($0.version), \($0.cipher)" } ?? "no TLS"
        let worker = worker.load(ordering: .relaxed)
        let body = """
            <!doctype html><html lang="en"><meta charset="utf-8"><title>Baton</title>
            <style>body{font:16px/1.6 system-ui,sans-serif;max-width:34em;margin:4em auto;padding:0 1em}
            dt{color:#666}dd{margin:0 0 .6em;font-size:1.4em}</style>
            <h1>This connection is alive.</h1>
            <dl><dt>process</dt><dd id="process">\(getpid())</dd><dt>worker</dt><dd id="worker">\(worker)</dd>
            <dt>moves of this connection</dt><dd id="moves">\(moves)</dd><dt>security</dt><dd>\(secured)</dd></dl>
            <p>Reload: the connection stays open, whoever serves it.</p></html>

            """
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: \(body.utf8.count)\r\n"
            + "Cache-Control: no-store\r\nBaton-Process: \(getpid())\r\nBaton-Worker: \(worker)\r\n"
            + "Baton-Moves: \(moves)\r\n"
            + (question.isLast ? "Connection: close\r\n" : "Connection: keep-alive\r\n") + "\r\n"
        return Array((withBody ? head + body : head).utf8)
    }
}
