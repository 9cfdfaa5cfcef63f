import StockPeers

/// One connection of `openssl s_client`.
struct OpenSSLClient {
    /// Everything it has said.
    let text: String

    /// Connects, and ends as soon as the handshake is done or has failed; or, with `says`, when that has come back.
    init(_ port: Int, name: String? = nil, says: String? = nil, _ arguments: [String] = []) throws {
        let process = try PeerProcess(
            ["openssl", "s_client", "-connect", "127.0.0.1:\(port)"]
                + (name.map { ["-servername", $0] } ?? ["-noservername"]) + arguments)
        if let says {
            try process.send(says + "\n")
            // It comes behind the tickets. A failed handshake ends the output.
            isAnswered = (try? process.expect(says)) != nil
        }
        try process.endInput()
        try process.expect(nil)
        text = process.text
    }

    /// Whether the echo has answered: in TLS 1.3 a client hears of a refusal only after its handshake.
    private(set) var isAnswered = false

    /// The common name in the certificate it was shown.
    var subject: String? {
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("subject=") }
        return line?.split(separator: "CN = ").last.map(String.init)
    }

    /// The first 16 bytes of the ticket name the key it is sealed with.
    var ticketKeyName: String? {
        let lines = text.split(whereSeparator: \.isNewline)
        guard let start = lines.firstIndex(where: { $0.contains("TLS session ticket:") }) else { return nil }
        return String(lines[start + 1].prefix(56))
    }

    var isResumed: Bool { text.contains("Reused, TLSv1") }
    var isEstablished: Bool { text.contains("New, TLSv1") || isResumed }
}
