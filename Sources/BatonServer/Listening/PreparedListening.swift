internal import Libc

/// A plan that has been carried out as far as it can be undone: every socket is bound, and those that are given up are
/// untouched. `begin` and `abandon` are what may follow.
struct PreparedListening: Sendable {
    /// All sockets of the configuration.
    let sockets: [ListeningSocket]
    /// Those that were made for it.
    let opened: [ListeningSocket]
    /// Those that the configuration has no use for.
    let surplus: [ListeningSocket]
    /// What operators should know: addresses of a name that this machine does not have.
    let notes: [String]

    /// Binds what a plan lacks. A socket of ours that is in the way shares its port for that: the new one has the
    /// connections as soon as it listens, and nobody is refused in between.
    ///
    /// - Throws: `cannotListen`; everything is as it was then.
    init(_ plan: ListeningPlan, backlog: Int) throws(RuntimeError) {
        surplus = plan.surplus
        var opened: [ListeningSocket] = []
        var notes: [String] = []
        var chosenPorts: [String: UInt16] = [:]
        do throws(RuntimeError) {
            for missing in plan.missing {
                var place = missing.place
                // A name's addresses have one port between them.
                if place.port == 0, let port = chosenPorts[missing.name] { place = place.with(port: port) }
                switch Self.open(missing, at: place, besides: plan.surplus, backlog) {
                case .success(let socket):
                    if missing.place.port == 0 { chosenPorts[missing.name] = socket.place.port }
                    opened.append(socket)
                case .failure(let code):
                    let isOneOfSeveral =
                        (opened.map(\.name) + plan.kept.map(\.name) + plan.missing.map(\.name))
                        .count { $0 == missing.name } > 1
                    guard isOneOfSeveral, code.isUnavailable else {
                        throw Self.error(missing, code, besides: plan.surplus)
                    }
                    notes.append("\(ListeningPlan.key(missing.name)) does not listen at \(place): \(code.text)")
                }
            }
            for missing in plan.missing where !(opened + plan.kept).contains(where: { $0.name == missing.name }) {
                throw Self.error(missing, SystemCode(EADDRNOTAVAIL), besides: [])
            }
        } catch {
            Self.undo(opened, plan.surplus)
            throw error
        }
        self.opened = opened
        self.notes = notes
        sockets = (plan.kept + opened).sorted { ($0.name, "\($0.place)") < ($1.name, "\($1.place)") }
    }

    /// Nothing comes of it.
    func abandon() { Self.undo(opened, surplus) }

    /// Listens at all of them. From here on connections wait there.
    ///
    /// - Returns: those that do not, with errno values.
    func begin(backlog: Int) -> [(ListeningSocket, SystemCode)] {
        let failed = sockets.compactMap { socket in
            let code = socket.listen(backlog: backlog)
            return code == 0 ? nil : (socket, SystemCode(code))
        }
        return failed
    }

    /// The sockets that were given up are closed now: what they were replaced by is alone.
    func endSharing() { for socket in opened { socket.sharePort(false) } }

    private static func open(
        _ missing: ListeningPlan.Missing, at place: ListeningPlace, besides surplus: [ListeningSocket], _ backlog: Int
    ) -> Result<ListeningSocket, SystemCode> {
        if case .unix(let path) = place { UnixSocket.removeDead(path) }
        let rivals = surplus.filter { $0.place.overlaps(place) }
        for rival in rivals { rival.sharePort(true) }
        let result = ListeningSocket.bound(missing.name, missing.address, at: place, sharesPort: !rivals.isEmpty)
        switch result {
        case .success(let socket):
            // Who is in the way listens there already. One that listens beside it would take its connections before anybody
            // accepts them, so it waits for `begin`; nobody else can listen there meanwhile.
            guard rivals.isEmpty else { return result }
            let code = socket.listen(backlog: backlog)
            guard code == 0 else {
                close(socket.descriptor)
                return .failure(SystemCode(code))
            }
            return result
        case .failure(let code):
            if code.value == EAFNOSUPPORT || code.value == EADDRNOTAVAIL, let port = place.port,
                place == .everywhere(port: port)
            {
                // A machine without IPv6.
                return open(missing, at: .everywhereV4(port: port), besides: surplus, backlog)
            }
            return result
        }
    }

    private static func undo(_ opened: [ListeningSocket], _ surplus: [ListeningSocket]) {
        for socket in opened {
            close(socket.descriptor)
            if case .unix(let path) = socket.place { unlink(path) }
        }
        for socket in surplus { socket.sharePort(false) }
    }

    private static func error(
        _ missing: ListeningPlan.Missing, _ code: SystemCode, besides surplus: [ListeningSocket]
    ) -> RuntimeError {
        let rival = surplus.first { $0.place.overlaps(missing.place) }
        let hint =
            switch code.value {
            case EADDRINUSE:
                if let rival {
                    rival.isActivated
                        ? "; the service manager's own socket at \(rival.place) is in the way, change its unit"
                        : "; this server's own socket at \(rival.place) cannot give way, restart the server"
                } else if case .unix = missing.place {
                    "; a process listens there, or it is a file that is no socket: remove it or choose another path"
                } else {
                    "; another process has it, stop that one or choose another"
                }
            case EACCES: "; ports below 1024 need root or CAP_NET_BIND_SERVICE"
            case EADDRNOTAVAIL: "; this machine does not have the address"
            default: ""
            }
        return RuntimeError(
            .cannotListen,
            "\(ListeningPlan.key(missing.name)) cannot listen at \(missing.address): \(code.text)\(hint)")
    }
}

extension SystemCode {
    /// Whether the machine lacks the address, or its family.
    fileprivate var isUnavailable: Bool { value == EADDRNOTAVAIL || value == EAFNOSUPPORT }
}
