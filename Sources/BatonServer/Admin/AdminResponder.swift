internal import BatonConfiguration
internal import Foundation
internal import HTTPTypes
internal import HummingbirdCore
internal import NIOCore
internal import Synchronization

/// What the admin address answers. It changes nothing, so it is all GET and HEAD.
struct AdminResponder: Sendable {
    /// Rows of a page of connections, unless asked otherwise; `Listing.maxRows` is the most.
    private static let usualRows = 100

    let source: AdminSource

    func respond(to request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel) async throws {
        let answer = await answer(request, channel)
        let head = HTTPResponse(status: answer.status, headerFields: answer.fields)
        if request.method == .head {
            try await writer.writeResponse(head)
        } else {
            try await writer.write(response: head, body: ResponseBody(byteBuffer: ByteBuffer(string: answer.text)))
        }
    }

    private func answer(_ request: Request, _ channel: any Channel) async -> AdminAnswer {
        guard request.method == .get || request.method == .head else {
            return AdminAnswer(.methodNotAllowed, "The admin address is only read.\n")
        }
        guard isAddressed(request.head.authority, over: channel) else {
            return AdminAnswer(
                .misdirectedRequest, "Ask for an IP address, for localhost, or for a name that is in admin-hosts.\n")
        }
        switch request.uri.path {
        case "/": return AdminAnswer(.ok, AdminPage.document, "text/html; charset=utf-8")
        case "/baton.css": return AdminAnswer(.ok, AdminPage.style, "text/css; charset=utf-8")
        case "/baton-charts.js": return AdminAnswer(.ok, AdminPage.charts, "text/javascript; charset=utf-8")
        case "/baton.js": return AdminAnswer(.ok, AdminPage.script, "text/javascript; charset=utf-8")
        case "/healthz":
            let (isHealthy, word) = await source.health()
            return AdminAnswer(isHealthy ? .ok : .serviceUnavailable, word + "\n")
        case "/metrics":
            let report = await source.report()
            return AdminAnswer(.ok, AdminMetrics.text(report), PrometheusMetrics.contentType)
        case "/api/state": return await overview(request) { $0 }
        case "/api/connections": return await overview(request) { $0.connections }
        default: return AdminAnswer(.notFound, "There are /, /healthz, /metrics, /api/state and /api/connections.\n")
        }
    }

    private func overview(
        _ request: Request, _ part: @Sendable (AdminOverview) -> some Encodable & Sendable
    ) async -> AdminAnswer {
        let query = request.uri.queryParameters
        func word(_ name: Substring) -> String? { query[name].map { String($0) } }
        guard let limit = query["limit"].map({ Int($0) }) ?? Self.usualRows, (1...Listing.maxRows).contains(limit)
        else { return AdminAnswer(.badRequest, "limit is a number from 1 to \(Listing.maxRows).\n") }
        var after: ConnectionCursor?
        if let text = query["after"] {
            after = ConnectionCursor(String(text))
            guard after != nil else {
                return AdminAnswer(.badRequest, "after is what the page before gave as next.\n")
            }
        }
        let names = ConnectionSelection.Column.allCases.map(\.rawValue)
        let column = word("sort").map { ConnectionSelection.Column(rawValue: $0) }
        if case .some(.none) = column {
            return AdminAnswer(.badRequest, "sort is one of \(names.joined(separator: ", ")).\n")
        }
        let order = word("order") ?? "asc"
        guard order == "asc" || order == "desc" else { return AdminAnswer(.badRequest, "order is asc or desc.\n") }
        guard
            let selection = ConnectionSelection(
                filter: word("filter") ?? "", by: column ?? nil, isDescending: order == "desc")
        else {
            return AdminAnswer(
                .badRequest,
                "filter has at most \(ConnectionSelection.maxWords) words and \(ConnectionSelection.longestFilter) bytes.\n"
            )
        }
        guard let known = query["known"].map({ Int($0) }) ?? 0, known >= 0 else {
            return AdminAnswer(.badRequest, "known is the count that the history had.\n")
        }
        return json(
            part(await source.overview(ConnectionQuery(selection: selection, limit: limit, after: after), known)))
    }

    private func json(_ value: some Encodable & Sendable) -> AdminAnswer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(value) else { return AdminAnswer(.internalServerError, "") }
        return AdminAnswer(.ok, String(decoding: data, as: UTF8.self) + "\n", "application/json")
    }

    /// A page of another origin may have its host name resolve to this address (DNS rebinding), and then read what is here
    /// in the browser of somebody who may. Of what a browser asks for, an IP address cannot be such a name; other names
    /// are answered that the configuration has. No browser comes by a Unix socket.
    private func isAddressed(_ authority: String?, over channel: any Channel) -> Bool {
        if case .unixDomainSocket? = channel.localAddress { return true }
        guard let authority, !authority.isEmpty else { return true }
        let host = (try? Address(authority)) ?? (try? Address(authority + ":80"))
        switch host {
        case .tcp(.ip, _), .tcp(.zoned, _): return true
        case .tcp(.name(let name), _): return source.names().contains(name)
        default: return false
        }
    }
}

/// An answer whose text is all there is.
struct AdminAnswer: Sendable {
    let status: HTTPResponse.Status
    let text: String
    let type: String

    init(_ status: HTTPResponse.Status, _ text: String, _ type: String = "text/plain; charset=utf-8") {
        self.status = status
        self.text = text
        self.type = type
    }

    /// Nothing of another origin is loaded, run, framed or sent to, and nothing is kept.
    private static let policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

    var fields: HTTPFields {
        var fields = HTTPFields()
        fields[.contentType] = type
        fields[.contentLength] = "\(text.utf8.count)"
        fields[.cacheControl] = "no-store"
        fields[.contentSecurityPolicy] = Self.policy
        fields[.xContentTypeOptions] = "nosniff"
        for (name, value) in [
            ("Referrer-Policy", "no-referrer"), ("X-Frame-Options", "DENY"),
            ("Cross-Origin-Resource-Policy", "same-origin"), ("Cross-Origin-Opener-Policy", "same-origin"),
        ] {
            if let name = HTTPField.Name(name) { fields[name] = value }
        }
        if status == .methodNotAllowed { fields[.allow] = "GET, HEAD" }
        return fields
    }
}
