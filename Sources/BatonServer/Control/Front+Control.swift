extension Front {
    /// Follows a command.
    func answer(_ request: ControlRequest, _ link: JSONLink<ControlResponse>) {
        switch request {
        case .status: link.finish(.status(status))
        case .reload: reload(asked: link)
        case .workers(let count): workerPool.ask(for: count, link)
        case .upgrade(let binary): handle(.upgrade(UpgradeRequest(binary: binary, asked: link)))
        case .drain(let peer, let isDryRun): drain(to: peer, isDryRun: isDryRun, asked: link)
        case .stop: stopDrain(askedBy: ObjectIdentifier(link.channel))
        }
    }
}
