import Foundation

/// What a watcher is told: a line of JSON in a text frame.
struct Notice: Encodable {
    enum Side: String, Encodable {
        case uploader, downloader
    }

    let event: String
    private(set) var side: Side?
    private(set) var uploader: Bool?
    private(set) var downloader: Bool?
    private(set) var bytes: Int?
    private(set) var total: Int?
    private(set) var why: String?

    private init(_ event: String) { self.event = event }

    /// Who is there; the first that a watcher is told.
    static func state(hasUploader: Bool, hasDownloader: Bool) -> Notice {
        var notice = Notice("state")
        (notice.uploader, notice.downloader) = (hasUploader, hasDownloader)
        return notice
    }

    static func came(_ side: Side) -> Notice { about(side, "came") }

    /// A side that waited has gone.
    static func left(_ side: Side) -> Notice { about(side, "left") }

    static var met: Notice { Notice("met") }

    static func progress(_ bytes: Int, of total: Int?) -> Notice {
        var notice = Notice("progress")
        (notice.bytes, notice.total) = (bytes, total)
        return notice
    }

    /// The downloader has everything.
    static func done(_ bytes: Int) -> Notice {
        var notice = Notice("done")
        notice.bytes = bytes
        return notice
    }

    static func failed(_ why: String) -> Notice {
        var notice = Notice("failed")
        notice.why = why
        return notice
    }

    private static func about(_ side: Side, _ event: String) -> Notice {
        var notice = Notice(event)
        notice.side = side
        return notice
    }

    var json: [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return (try? encoder.encode(self)).map { Array($0) } ?? []
    }
}
