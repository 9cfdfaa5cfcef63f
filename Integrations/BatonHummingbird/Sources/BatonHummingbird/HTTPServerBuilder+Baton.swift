public import HummingbirdCore

extension HTTPServerBuilder {
    /// A server whose connections move to the program that replaces it: in place of `.tls(…)` and `.http1()`.
    ///
    /// ```swift
    /// let server = try MovableServer(
    ///     at: "/run/example/succession", listeners: [.init("main", host: "::", port: 443, .tls(context))])
    /// let app = Application(
    ///     router: router, server: .baton(.http1(), server), configuration: .init(address: server.address))
    /// try await server.run(app)
    /// ```
    public static func baton(_ channel: MovableChannel = .http1(), _ server: MovableServer) -> HTTPServerBuilder {
        HTTPServerBuilder { responder in
            server.begin(channel, responder)
            return UnusedChannel()
        }
    }
}
