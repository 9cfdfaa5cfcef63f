internal import NIOCore
internal import NIOHTTP1

/// Lets the connection go when an upgrade is through. Until then NIO keeps what comes behind the request.
struct HoldingUpgrader: HTTPServerProtocolUpgrader {
    private let upgrader: any HTTPServerProtocolUpgrader
    private let requests: HTTPRequestsInFlight

    init(_ upgrader: any HTTPServerProtocolUpgrader, _ requests: HTTPRequestsInFlight) {
        self.upgrader = upgrader
        self.requests = requests
    }

    var supportedProtocol: String { upgrader.supportedProtocol }

    var requiredUpgradeHeaders: [String] { upgrader.requiredUpgradeHeaders }

    func buildUpgradeResponse(
        channel: any Channel, upgradeRequest: HTTPRequestHead, initialResponseHeaders: HTTPHeaders
    ) -> EventLoopFuture<HTTPHeaders> {
        upgrader.buildUpgradeResponse(
            channel: channel, upgradeRequest: upgradeRequest, initialResponseHeaders: initialResponseHeaders)
    }

    func upgrade(context: ChannelHandlerContext, upgradeRequest: HTTPRequestHead) -> EventLoopFuture<Void> {
        let requests = NIOLoopBound(requests, eventLoop: context.eventLoop)
        return upgrader.upgrade(context: context, upgradeRequest: upgradeRequest)
            .hop(to: context.eventLoop).always { _ in requests.value.endUpgrade() }
    }
}
