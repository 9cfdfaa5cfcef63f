internal import BatonCore
internal import Handoff
internal import Libc
internal import Logging

/// Upgrades of this server, one at a time. Used on the front's loop only.
final class Upgrades: @unchecked Sendable {
    private let options: ServeOptions
    /// Where the processes of the server meet.
    private let directory: String
    private let surroundings: Upgrade.Surroundings
    private let inheritance: (_ isService: Bool) throws -> Parcel
    private var last: Upgrade?
    private var attempts = 0

    /// - Parameter inheritance: what is left to a new server.
    init(
        _ options: ServeOptions, in directory: String, _ surroundings: Upgrade.Surroundings,
        inheritance: @escaping (_ isService: Bool) throws -> Parcel
    ) {
        self.options = options
        self.directory = directory
        self.surroundings = surroundings
        self.inheritance = inheritance
    }

    /// Starts a new server and, when it accepts, hands everything to it.
    func begin(_ request: UpgradeRequest) {
        attempts += 1
        // A number of a process would be another's in the other container.
        let name =
            request.service == nil
            ? "upgrade.\(getpid()).\(attempts)" : "to.x" + String(UInt32.random(in: 1 << 28...UInt32.max), radix: 16)
        let isService = request.service != nil
        do {
            last = try Upgrade(
                request, options, at: "\(directory)/\(name)", { [inheritance] in try inheritance(isService) },
                surroundings)
        } catch {
            surroundings.happened(.upgradeFailed)
            fail(request, "\(error)")
        }
    }

    func fail(_ request: UpgradeRequest, _ why: String) {
        surroundings.logger.current.error("the upgrade failed; this server goes on", metadata: ["reason": "\(why)"])
        request.refuse(why)
    }

    /// Where the server that has replaced this one takes connections; empty if none has.
    var successors: [String] { last?.successors ?? [] }

    func stop(atOnce: Bool) { last?.stop(atOnce: atOnce) }
    func passOnReload() { last?.passOnReload() }
    func tellProgress() { last?.tellProgress() }
    func look() { last?.look() }
}
