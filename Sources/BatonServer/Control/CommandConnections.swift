internal import CLinuxSockets
internal import Libc
internal import Logging
internal import NIOCore
internal import NIOPosix

/// Connections at the control socket. Used on `loop` only.
final class CommandConnections: @unchecked Sendable {
    private let loop: any EventLoop
    private let logger: SharedLogger
    private let answer: (ControlRequest, JSONLink<ControlResponse>) -> Void
    private let ended: (ObjectIdentifier) -> Void

    /// - Parameters:
    ///   - answer: follows a command.
    ///   - ended: called with the identity of a connection's channel that has closed.
    init(
        on loop: any EventLoop, _ logger: SharedLogger,
        answer: @escaping (ControlRequest, JSONLink<ControlResponse>) -> Void,
        ended: @escaping (ObjectIdentifier) -> Void
    ) {
        self.loop = loop
        self.logger = logger
        self.answer = answer
        self.ended = ended
    }

    /// Takes a connection's descriptor, and follows the commands that come by it.
    func take(_ descriptor: CInt) {
        ClientBootstrap(group: loop)
            .channelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture {
                    try refuseOthers(channel)
                    try channel.pipeline.syncOperations.addHandler(
                        JSONLines<ControlRequest, ControlResponse>(on: channel.eventLoop) { [self] request, link in
                            answer(request, link)
                        } ended: { [self, id = ObjectIdentifier(channel)] in
                            ended(id)
                        })
                }
            }
            .withConnectedSocket(descriptor)
            .whenFailure { [logger] in
                logger.current.debug("a command is not heard", metadata: ["reason": "\($0)"])
            }
    }

    /// The mode of the socket keeps other users out; a socket in the hands of another user's process must not help it.
    private func refuseOthers(_ channel: any Channel) throws {
        var peer = baton_credentials()
        let result = try channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
            baton_peer_credentials($0, &peer)
        }
        guard result == 0, peer.uid == 0 || peer.uid == geteuid() else {
            logger.current.warning(
                "a command of another user is refused", metadata: ["uid": "\(peer.uid)", "pid": "\(peer.pid)"])
            throw RuntimeError(.refused, "this user may not command the server")
        }
    }
}
