internal import CLinuxSockets
internal import Glibc
internal import Logging
internal import NIOCore
internal import NIOPosix

extension Front {
    /// Answers the commands that come by a connection at the control socket.
    func command(_ descriptor: CInt) {
        ClientBootstrap(group: loop)
            .channelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture {
                    try refuseOthers(channel)
                    try channel.pipeline.syncOperations.addHandler(
                        JSONLines<ControlRequest, ControlResponse>(on: channel.eventLoop) { [self] request, link in
                            answer(request, link)
                        } ended: { [self, id = ObjectIdentifier(channel)] in
                            stopDrain(askedBy: id)
                        })
                }
            }
            .withConnectedSocket(descriptor)
            .whenFailure { [log] in log.debug("a command is not heard", metadata: ["reason": "\($0)"]) }
    }

    /// The mode of the socket keeps other users out; a socket in the hands of another user's process must not help it.
    private func refuseOthers(_ channel: any Channel) throws {
        var peer = baton_credentials()
        let result = try channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
            baton_peer_credentials($0, &peer)
        }
        guard result == 0, peer.uid == 0 || peer.uid == geteuid() else {
            log.warning("a command of another user is refused", metadata: ["uid": "\(peer.uid)", "pid": "\(peer.pid)"])
            throw RuntimeError(.refused, "this user may not command the server")
        }
    }

    private func answer(_ request: ControlRequest, _ link: JSONLink<ControlResponse>) {
        switch request {
        case .status: link.finish(.status(status))
        case .reload: reload(asked: link)
        case .workers(let count): setWorkers(count, asked: link)
        case .upgrade(let binary): upgrade(binary: binary, asked: link)
        case .drain(let peer, let isDryRun): drain(to: peer, isDryRun: isDryRun, asked: link)
        case .stop: stopDrain(askedBy: ObjectIdentifier(link.channel))
        }
    }
}
