internal import Libc
internal import NIOCore

/// The admin address: it serves connections while it is open, and closes those that come otherwise. Used on `loop` only.
final class AdminAddress: @unchecked Sendable {
    private let loop: any EventLoop
    private let logger: SharedLogger
    private let source: AdminSource
    private var server: AdminServer?

    init(on loop: any EventLoop, _ logger: SharedLogger, _ source: AdminSource) {
        self.loop = loop
        self.logger = logger
        self.source = source
    }

    func open() {
        guard server == nil else { return }
        let responder = AdminResponder(source: source)
        server = AdminServer(on: loop, log: logger.current) { request, writer, channel in
            try await responder.respond(to: request, writer, channel)
        }
    }

    /// Answers what has been asked, and then nothing. The listening sockets stay open.
    func close() {
        server?.close()
        server = nil
    }

    /// Takes a connection's descriptor.
    func take(_ descriptor: CInt) {
        guard let server else {
            Libc.close(descriptor)
            return
        }
        server.serve(descriptor)
    }
}
